// The same small program for node: it serves on $PORT and finishes its requests on SIGTERM.
const fs = require("node:fs");
const http = require("node:http");
const path = require("node:path");

const file = path.join(__dirname, "app.json");
const knobs = fs.existsSync(file) ? JSON.parse(fs.readFileSync(file, "utf8")) : {};
const version = String(knobs.version ?? "1");

const server = http.createServer((request, response) => {
  const headers = { "X-Release": version, "X-Pid": String(process.pid) };
  if (request.headers["x-load-id"]) headers["X-Load-Id"] = request.headers["x-load-id"];
  response.writeHead(200, headers);
  response.end(`release ${version}\n`);
});
server.listen(Number(process.env.PORT), process.env.HOST ?? "127.0.0.1");
process.on("SIGTERM", () => server.close(() => process.exit(0)));
