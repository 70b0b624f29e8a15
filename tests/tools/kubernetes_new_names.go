package server

// For tests only: the two groups that this version serves as betas, under the names of their later, equal versions.

import (
	"bytes"
	"io/ioutil"
	"net/http"
	"strconv"
	"strings"
)

var newNames = []struct{ now, here string }{
	{"policy/v1", "policy/v1beta1"},
	{"autoscaling/v2", "autoscaling/v2beta2"},
}

type renaming struct {
	http.ResponseWriter
	from, to []byte
	watch    bool
	code     int
	held     bytes.Buffer
}

func (r *renaming) WriteHeader(code int) {
	r.code = code
	r.Header().Del("Warning") // that the beta will go is no news under its later name
	if r.watch {
		r.ResponseWriter.WriteHeader(code)
	}
}

func (r *renaming) Write(data []byte) (int, error) {
	if r.watch {
		_, err := r.ResponseWriter.Write(bytes.ReplaceAll(data, r.from, r.to))
		return len(data), err
	}
	return r.held.Write(data)
}

func (r *renaming) Flush() {
	if f, ok := r.ResponseWriter.(http.Flusher); ok && r.watch {
		f.Flush()
	}
}

func (r *renaming) CloseNotify() <-chan bool {
	return r.ResponseWriter.(http.CloseNotifier).CloseNotify()
}

func (r *renaming) finish() {
	if r.watch {
		return
	}
	body := bytes.ReplaceAll(r.held.Bytes(), r.from, r.to)
	r.Header().Set("Content-Length", strconv.Itoa(len(body)))
	if r.code == 0 {
		r.code = http.StatusOK
	}
	r.Header().Del("Warning")
	r.ResponseWriter.WriteHeader(r.code)
	r.ResponseWriter.Write(body)
}

func withNewNames(handler http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		for _, name := range newNames {
			prefix := "/apis/" + name.now
			if req.URL.Path != prefix && !strings.HasPrefix(req.URL.Path, prefix+"/") {
				continue
			}
			req = req.Clone(req.Context())
			req.URL.Path = "/apis/" + name.here + strings.TrimPrefix(req.URL.Path, prefix)
			req.URL.RawPath = ""
			req.RequestURI = req.URL.RequestURI()
			req.Header.Set("Accept", "application/json")
			req.Header.Del("Accept-Encoding")
			if req.Body != nil {
				body, err := ioutil.ReadAll(req.Body)
				if err != nil {
					http.Error(w, err.Error(), 400)
					return
				}
				for _, quote := range []string{"\"", ""} {
					for _, gap := range []string{"", " "} {
						key := quote + "apiVersion" + quote + ":" + gap + quote
						for _, end := range []string{"\"", "\n"} {
							body = bytes.ReplaceAll(body, []byte(key+name.now+end), []byte(key+name.here+end))
						}
					}
				}
				req.Body = ioutil.NopCloser(bytes.NewReader(body))
				req.ContentLength = int64(len(body))
				req.Header.Set("Content-Length", strconv.Itoa(len(body)))
			}
			watch := req.URL.Query().Get("watch")
			out := &renaming{ResponseWriter: w, from: []byte(name.here), to: []byte(name.now), watch: watch == "true" || watch == "1"}
			handler.ServeHTTP(out, req)
			out.finish()
			return
		}
		handler.ServeHTTP(w, req)
	})
}
