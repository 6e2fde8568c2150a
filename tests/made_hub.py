"""The few endpoints of the hub that its client uses, on this machine: repositories are folders in memory."""

import base64
import hashlib
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import unquote, urlsplit


class Hub:
    """repos: name -> {"private", "branches": {revision -> {path: bytes}}}; a token "good" may read and write all."""

    def __init__(self):
        self.repos, self.stored, self.requests = {}, {}, []
        handler = type("Handler", (_Handler,), {"hub": self})
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def close(self):
        self.server.shutdown()
        self.server.server_close()

    def files(self, name, revision="main"):
        return self.repos[name]["branches"][revision]

    def commit_of(self, name, revision):
        """(40 hexadecimal digits, files) of a revision; None where there is none."""
        for branch, files in self.repos[name]["branches"].items():
            digest = hashlib.sha1(repr(sorted((p, hash(c)) for p, c in files.items())).encode()).hexdigest()
            if revision in (branch, digest):
                return digest, files
        return None


class _Handler(BaseHTTPRequestHandler):
    hub: Hub
    protocol_version = "HTTP/1.1"

    def log_message(self, *args):
        pass

    def answer(self, status, content=b"", **headers):
        body = content if isinstance(content, bytes) else json.dumps(content).encode()
        self.send_response(status)
        for name, value in {"Content-Length": str(len(body)), **headers}.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def refuse(self, status, code):
        self.answer(status, {"error": code}, X_Error_Code=code)

    def body(self):
        if self.headers.get("Transfer-Encoding") == "chunked":
            parts = []
            while size := int(self.rfile.readline(), 16):
                parts.append(self.rfile.read(size))
                self.rfile.readline()
            self.rfile.readline()
            return b"".join(parts)
        return self.rfile.read(int(self.headers.get("Content-Length", 0)))

    @property
    def known(self):
        return self.headers.get("Authorization") == "Bearer good"

    def do_POST(self):
        path, body = urlsplit(self.path).path, self.body()
        self.hub.requests.append(("POST", path))
        parts = unquote(path).strip("/").split("/")
        if path.endswith("/validate-yaml"):
            return self.answer(200, {"errors": [], "warnings": []})
        if not self.known:
            return self.answer(401, {"error": "no token"})
        if path == "/api/repos/create":
            facts = json.loads(body)
            name = f"{facts['organization']}/{facts['name']}" if facts.get("organization") else facts["name"]
            if name in self.hub.repos:
                return self.answer(409, {"error": "exists", "url": f"{self.hub.url}/{name}"})
            self.hub.repos[name] = {
                "private": "private" in (facts.get("visibility"), facts.get("private") and "private"),
                "branches": {"main": {}},
            }
            return self.answer(200, {"url": f"{self.hub.url}/{name}"})
        if parts[-1] == "batch":
            name = "/".join(parts[:2]).removesuffix(".git")
            objects = [
                {**each, "actions": {"upload": {"href": f"{self.hub.url}/lfs/{each['oid']}"}}}
                for each in json.loads(body)["objects"]
            ]
            return self.answer(200, {"transfer": "basic", "objects": objects})
        name, verb, revision = "/".join(parts[2:4]), parts[4], "/".join(parts[5:])
        if verb == "preupload":
            files = [
                {"path": f["path"], "uploadMode": "lfs" if f["path"].endswith(".safetensors") else "regular"}
                for f in json.loads(body)["files"]
            ]
            return self.answer(200, {"files": [{**file, "shouldIgnore": False} for file in files]})
        if verb == "branch":
            self.hub.repos[name]["branches"].setdefault(revision, {})
            return self.answer(200, {})
        assert verb == "commit", path
        files = self.hub.files(name, revision)
        for line in map(json.loads, body.splitlines()):
            value = line["value"]
            if line["key"] == "file":
                files[value["path"]] = base64.b64decode(value["content"])
            elif line["key"] == "lfsFile":
                files[value["path"]] = self.hub.stored[value["oid"]]
        commit = self.hub.commit_of(name, revision)[0]
        url = f"{self.hub.url}/{name}/commit/{commit}"
        return self.answer(200, {"commitUrl": url, "commitOid": commit, "success": True, "hookOutput": ""})

    def do_PUT(self):
        self.hub.stored[urlsplit(self.path).path.rpartition("/")[2]] = self.body()
        self.answer(200)

    def do_HEAD(self):
        self.do_GET()

    def do_GET(self):
        path = unquote(urlsplit(self.path).path)
        self.hub.requests.append((self.command, path))
        parts = path.strip("/").split("/")
        name = "/".join(parts[2:4] if parts[0] == "api" else parts[:2])
        repo = self.hub.repos.get(name)
        if path == "/api/whoami-v2":
            return self.answer(200, {"name": "me", "type": "user", "auth": {"accessToken": {"role": "write"}}})
        if repo is None or (repo["private"] and not self.known):
            return self.refuse(404 if self.known else 401, "RepoNotFound")
        if parts[0] == "api":
            revision = "/".join(parts[5:]) if len(parts) > 5 else "main"
            found = self.hub.commit_of(name, revision)
            if found is None:
                return self.refuse(404, "RevisionNotFound")
            commit, files = found
            if parts[4:5] == ["tree"]:
                entries = [{"type": "file", "path": p, "size": len(c), "oid": _oid(c)} for p, c in files.items()]
                return self.answer(200, entries)
            siblings = [{"rfilename": p} for p in files]
            facts = {"id": name, "sha": commit, "siblings": siblings, "private": repo["private"], "tags": []}
            return self.answer(200, facts)
        commit, files = self.hub.commit_of(name, parts[3])
        file = "/".join(parts[4:])
        if file not in files:
            return self.refuse(404, "EntryNotFound")
        return self.answer(200, files[file], ETag=f'"{_oid(files[file])}"', X_Repo_Commit=commit)


def _oid(content):
    return hashlib.sha1(content).hexdigest()
