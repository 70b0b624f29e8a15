"""The Dockerfile that oatie writes; tests/real/test_image.py builds it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from oatie_ops.config.settings import AppSettings, DeploySettings, Settings
from oatie_ops.deployment.containers.dockerfile import dockerfile, surroundings

PROJECT = '[project]\nname = "shop"\nversion = "1"\n'


def project(root: Path, *files: str, **app: Any) -> Settings:
    for name in files:
        (root / name).write_text("")
    return Settings(root=root, app=AppSettings(name="shop", **app), deploy=DeploySettings())


def test_a_dockerfile_has_stages_no_root_and_a_health_check(tmp_path: Path) -> None:
    settings = project(tmp_path, "requirements.txt", run="main:app", ready="/ready")
    text = dockerfile(surroundings(settings))
    assert text.count("FROM python:3.12-slim") == 2
    lines = text.splitlines()
    install = lines.index("RUN pip install -r requirements.txt")
    assert install < lines.index("COPY . .")
    assert "USER 10001" in lines
    assert "HEALTHCHECK" in text
    assert "/ready" in text
    assert lines[-1] == 'CMD ["oatie", "start", "--host", "0.0.0.0"]'


def test_a_dockerfile_is_in_the_language_of_the_program(tmp_path: Path) -> None:
    node = project(tmp_path, "package.json", "package-lock.json", command=("node", "server.js"))
    text = dockerfile(surroundings(node))
    assert "npm ci --omit=dev" in text
    assert "pip" not in text
    assert 'CMD ["node", "server.js"]' in text
    plain = project(tmp_path, command=("python3", "serve.py"))
    text = dockerfile(surroundings(plain, base="base:1"))
    assert text.startswith("FROM base:1\n")
    assert 'CMD ["python3", "serve.py"]' in text
    other = dockerfile(surroundings(project(tmp_path, command=("./server",))))
    assert "choose a base image" in other


def made(root: Path, files: dict[str, str], *, supervised: bool = False, **app: Any) -> list[str]:
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    return dockerfile(surroundings(project(root, **app), supervised=supervised)).splitlines()


def test_dependencies_are_installed_before_the_code_is_there(tmp_path: Path) -> None:
    """Else each change of the code would install them anew."""
    declared = PROJECT + 'dependencies = ["starlette"]\n'
    lines = made(tmp_path, {"pyproject.toml": declared, "src/shop.py": ""}, run="shop:app")
    install = next(n for n, line in enumerate(lines) if "pip install -r /tmp/requirements.txt" in line)
    assert lines.index("COPY pyproject.toml ./") < install < lines.index("COPY . .")
    assert lines.index("RUN pip install --no-deps .") == lines.index("COPY . .") + 1


def test_a_flat_project_without_dependencies_is_not_packed(tmp_path: Path) -> None:
    """setuptools refuses several directories beside each other, and the code is run from /app anyway."""
    lines = made(
        tmp_path, {"pyproject.toml": PROJECT, "main.py": "", "a/x.py": "", "b/x.py": ""}, run="main:app"
    )
    assert not [line for line in lines if line.startswith("RUN pip install") and "oatie-ops" not in line]
    old = made(tmp_path / "old", {"setup.py": "", "main.py": ""}, run="main:app")
    assert "RUN pip install ." in old


def test_requirements_that_name_other_files_have_them(tmp_path: Path) -> None:
    lines = made(tmp_path, {"requirements.txt": "-r base.txt\n", "base.txt": "flask\n"}, run="main:app")
    assert lines[lines.index("RUN pip install -r requirements.txt") - 1] == "COPY . ."


def test_a_lock_of_uv_leaves_oatie_where_it_is(tmp_path: Path) -> None:
    lines = made(tmp_path, {"pyproject.toml": PROJECT, "uv.lock": ""}, run="main:app")
    (sync,) = [line for line in lines if "uv sync" in line]
    assert "--inexact" in sync, "else it removes what the lock does not know"


def test_any_user_of_group_0_can_run_it(tmp_path: Path) -> None:
    lines = made(tmp_path, {"requirements.txt": "flask\n"}, run="main:app")
    assert "USER 10001" in lines, "a cluster cannot tell whether a name is root"
    assert "-g 0 -m 0775 /app" in "".join(lines)


def test_a_file_of_variables_that_stays_out_is_not_missed(tmp_path: Path) -> None:
    lines = made(tmp_path, {".env": "A=1\n"}, run="main:app", env_file=".env")
    (touch,) = [line for line in lines if "touch .env" in line]
    assert lines.index("COPY . .") < lines.index(touch) < lines.index("USER 10001")
    assert not any(
        "touch" in line for line in made(tmp_path, {}, command=("python3", "x.py"), env_file=".env")
    )


def test_oatie_runs_programs_of_other_languages_where_that_is_wanted(tmp_path: Path) -> None:
    for command in (("node", "server.js"), ("./server",), ("python3", "serve.py")):
        lines = made(tmp_path, {"package.json": "{}"}, supervised=True, command=command)
        assert lines[-1] == 'CMD ["oatie", "start", "--host", "0.0.0.0"]', command
        assert any("pip install" in line and "oatie-ops" in line for line in lines), command
    lines = made(tmp_path, {"package.json": "{}"}, command=("node", "server.js"))
    assert lines[-1] == 'CMD ["node", "server.js"]'
