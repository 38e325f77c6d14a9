# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The warm process of the connection plugin C(threetier.aws.warm).

It runs with the interpreter of the tasks, and needs only the standard library.

It never runs a module, and never sees a module's arguments: it imports what modules import, and forks. A fork becomes the module's process:
its own session, working directory, environment and streams; it reads the program from its standard input, as Python does with C(local).

What a module may take over from this process is decided by content. A module comes as a zip with the source of all that it imports of
Ansible (its I(payload)). C(sys.modules) of the fork keeps those that were made from the very same source; the rest goes.

One connection is one module::

    plugin  32 bytes, the payload's SHA-256, with descriptors for stdin, stdout and stderr
    server  ?  the payload is not known yet
    plugin  4 bytes length, the payload in base64
    server  !  accepted: from here on the plugin must not try again
    server  4 bytes, the exit status, negative for a signal

Without descriptors, a payload is only offered: it is prepared in small steps while there is nothing else to do, with the models of the
AWS services that its module names. The server closes the connection as soon as it has the payload.

A plugin that ends before its module takes the module along (with C(local) they are in one process group), unless it has said C(d).
"""

from __future__ import annotations

import atexit
import base64
import functools
import gc
import hashlib
import importlib
import importlib.abc
import importlib.machinery
import importlib.util
import io
import json
import os
import re
import selectors
import signal
import socket
import struct
import sys
import tempfile
import threading
import types
import zipfile
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass
from typing import Any, NoReturn

# Imported ahead: a namespace that only defines things. What other collections bring is compiled ahead, and imported by each module anew.
IMPORTED_AHEAD = ("ansible.module_utils.", "ansible_collections.amazon.aws.plugins.module_utils.")
# A module tells which of these it has imported, lazily and on its own; they are there for the next one.
LEARNT = ("boto3", "botocore", "s3transfer", "urllib3", "jmespath", "dateutil")
# boto3 and all that it imports, in steps.
EARLY = ("jmespath", "urllib3", "botocore.client", "s3transfer.manager", "boto3")
ROOT = "/payload.zip"  # stands for the path of a payload until the module has written it
SECONDS_TO_SUBMIT = 10
# What botocore reads of each service that a module uses.
SERVICE_FILES = ("service-2", "endpoint-rule-set-1", "paginators-1", "waiters-2")
# How a module asks for a client of an AWS service.
SERVICE = re.compile(r"""client\((?:\w+, *)?["']([a-z0-9-]+)["']""")


def saves_time(part: Callable[..., None]) -> Callable[..., None]:
    """Go on without it where it fails: a later botocore may have other private names, and modules work with it as it is."""

    @functools.wraps(part)
    def attempt(*arguments: Any) -> None:
        try:
            part(*arguments)
        except Exception:
            pass

    return attempt


@dataclass
class Member:
    """One Python file of a payload."""

    name: str
    path: str
    source: bytes
    code: types.CodeType | None

    @property
    def is_package(self) -> bool:
        return self.path.endswith("/__init__.py")


@dataclass
class Payload:
    """What a module brings along. C(shared): nothing in it contradicts what is imported here. C(plain): it holds nothing but Python."""

    members: dict[str, Member]
    shared: bool
    plain: bool


class PayloadImporter(importlib.abc.MetaPathFinder, importlib.abc.InspectLoader):
    """Imports from memory what Ansible would have zipimport unpack and compile."""

    def __init__(self) -> None:
        self.members: dict[str, Member] = {}
        self.root = ROOT
        self.on_first_import: Callable[[], None] | None = None

    def find_spec(self, fullname: str, path: Any = None, target: Any = None) -> importlib.machinery.ModuleSpec | None:
        if not (member := self.members.get(fullname)):
            return None
        if self.on_first_import:
            self.on_first_import()
        spec = importlib.util.spec_from_loader(fullname, self, origin=f"{self.root}/{member.path}", is_package=member.is_package)
        spec.has_location = True
        if member.is_package:
            spec.submodule_search_locations = [os.path.dirname(spec.origin)]
        return spec

    def get_source(self, fullname: str) -> str:
        if fullname not in self.members:  # a traceback asks for __main__, and takes nothing else for "no source"
            raise ImportError(fullname)
        return importlib.util.decode_source(self.members[fullname].source)

    def get_code(self, fullname: str) -> types.CodeType:
        member = self.members[fullname]
        return member.code or compile(member.source, f"{self.root}/{member.path}", "exec", dont_inherit=True)

    def is_package(self, fullname: str) -> bool:
        return self.members[fullname].is_package


class Server:
    """The loop: connections, payloads, and the modules that run."""

    def __init__(self, listener: socket.socket, controller: int, path: str, early: bool) -> None:
        self.listener, self.controller, self.path = listener, controller, path
        self.selector = selectors.DefaultSelector()
        self.importer = PayloadImporter()
        self.payloads: dict[bytes, Payload] = {}
        self.offered: dict[bytes, Generator[None, None, Payload]] = {}
        self.early = list(EARLY if early else ())
        self.services: dict[str, None] = {}
        self.json_files: dict[str, Any] = {}
        self.libraries = library_state()
        sys.meta_path.insert(0, self.importer)

    def serve(self) -> Callable[[], NoReturn]:
        """Serve until the controller is gone and no module runs. Returns only in forks: what they have to do."""
        self.selector.register(self.listener, selectors.EVENT_READ, self.accept)
        self.selector.register(self.controller, selectors.EVENT_READ, self.close)
        gc.freeze()
        while self.selector.get_map():
            events = self.selector.select(0 if self.offered or self.early or self.services else None)
            for key, _ in events:
                if key.fd in self.selector.get_map() and (job := key.data()):
                    return job
            if not events:
                self.step()
        sys.exit()

    def step(self) -> None:
        """Do a little of what can be done ahead."""
        if self.offered:
            digest, steps = next(iter(self.offered.items()))
            try:
                next(steps)
            except StopIteration as finished:
                self.finish(digest, finished.value)
            except Exception:  # not a zip, for instance: its task will say so
                del self.offered[digest]
        elif self.early:
            import_ahead(self.early.pop(0))
        elif self.services:
            service = next(iter(self.services))
            del self.services[service]
            self.load_service(service)

    def finish(self, digest: bytes, payload: Payload) -> None:
        self.offered.pop(digest, None)
        self.payloads[digest] = payload
        gc.freeze()

    def close(self) -> None:
        """Take no more modules."""
        for ahead in (self.offered, self.early, self.services):
            ahead.clear()
        for file in (self.listener, self.controller):
            self.selector.unregister(file)
        self.listener.close()
        try:
            os.unlink(self.path)
        except FileNotFoundError:
            pass  # Ansible has removed its directory

    def accept(self) -> Callable[[], NoReturn] | None:
        connection, _ = self.listener.accept()
        connection.settimeout(SECONDS_TO_SUBMIT)
        descriptors: list[int] = []
        try:
            digest, descriptors, _, _ = socket.recv_fds(connection, 32, 3)
            if len(digest) < 32:
                raise EOFError
            if library_state() != self.libraries:  # a package was installed or removed: what is imported here may be outdated
                self.close()
                raise EOFError
            if digest not in self.payloads and digest not in self.offered:
                connection.sendall(b"?")
                (length,) = struct.unpack("!I", receive(connection, 4))
                self.offered[digest] = self.prepare(receive(connection, length), ahead=not descriptors)
            if len(descriptors) < 3:
                raise EOFError
            if digest in self.offered:
                self.finish(digest, exhaust(self.offered[digest]))
            connection.sendall(b"!")
            return self.fork(self.payloads[digest], connection, descriptors)
        except (OSError, EOFError):
            connection.close()
            return None
        finally:
            for descriptor in descriptors:
                os.close(descriptor)

    def fork(self, payload: Payload, connection: socket.socket, descriptors: list[int]) -> Callable[[], NoReturn] | None:
        learnt, learn = os.pipe()
        child = os.fork()
        if not child:
            for number, descriptor in enumerate(descriptors):
                os.dup2(descriptor, number)
            connection.detach()  # its number will soon be another file's
            report = os.dup2(learn, 3, inheritable=False)
            os.closerange(4, 1 << 16)
            os.setsid()
            descriptors.clear()
            return lambda: run_module(payload, self.importer, self.json_files, report)
        os.close(learn)
        process = os.pidfd_open(child)

        def ended() -> None:
            self.selector.unregister(process)
            os.close(process)
            if connection.fileno() in self.selector.get_map():
                self.selector.unregister(connection)
            status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
            try:
                connection.sendall(struct.pack("!i", status))
            except OSError:
                pass  # nobody waits for it
            connection.close()
            self.learn(learnt)

        def said() -> None:
            self.selector.unregister(connection)
            try:
                detached = connection.recv(1) == b"d"
            except OSError:
                detached = False
            if not detached:
                try:
                    os.killpg(child, signal.SIGTERM)
                except ProcessLookupError:
                    pass  # it has not made its session yet, or it has just ended

        self.selector.register(process, selectors.EVENT_READ, ended)
        self.selector.register(connection, selectors.EVENT_READ, said)
        return None

    def prepare(self, data: bytes, ahead: bool) -> Generator[None, None, Payload]:
        """Unpack a payload, compile it, and import ahead what may be imported ahead; a file a step."""
        members: dict[str, Member] = {}
        ours = self.importer.members
        plain = True
        with zipfile.ZipFile(io.BytesIO(base64.b64decode(data))) as archive:
            for path in archive.namelist():
                if not path.endswith(".py"):
                    plain = False  # a resource, which is read from the zip
                    continue
                name = path.removesuffix(".py").removesuffix("/__init__").replace("/", ".")
                source = archive.read(path)
                known = ours.get(name)
                if known and known.source == source:
                    members[name] = known
                    continue
                try:
                    code = compile(source, f"{ROOT}/{path}", "exec", dont_inherit=True)
                except (SyntaxError, ValueError):
                    code = None  # the module's own process will say so
                members[name] = Member(name, path, source, code)
                yield
        for name, member in members.items():  # between two steps, another payload may have brought the same file
            if name in ours and ours[name].source == member.source:
                members[name] = ours[name]
        shared = plain and all(ours.get(name, member) is member for name, member in members.items())
        if shared:
            new = [name for name in members if name.startswith(IMPORTED_AHEAD) and name not in ours]
            packages = {".".join(parts[:end]) for parts in (name.split(".") for name in new) for end in range(1, len(parts))}
            ours.update((name, members[name]) for name in (*packages, *new) if name in members)
            for name in new:
                before = set(of_ansible())
                import_ahead(name)
                if take_messages():  # they belong into the result of each module that imports it, and of no other
                    for imported in set(of_ansible()) - before:
                        forget(imported)
                yield
            self.cache_models()
            keep_client_parts()
        if ahead:
            for name, member in members.items():
                if not name.startswith(IMPORTED_AHEAD):
                    self.services.update(dict.fromkeys(SERVICE.findall(member.source.decode(errors="replace"))))
        return Payload(members, shared, plain)

    @saves_time
    def cache_models(self) -> None:
        """Let botocore take its service models from memory. Only its own files: those do not change while it is installed."""
        loaders = sys.modules.get("botocore.loaders")
        if not loaders or hasattr(loaders.JSONFileLoader.load_file, "original"):
            return
        original, original_exists = loaders.JSONFileLoader.load_file, loaders.JSONFileLoader.exists
        original_list = loaders.Loader.list_available_services
        own = os.path.join(os.path.dirname(os.path.dirname(loaders.__file__)), "")

        def load_file(loader: Any, file_path: str) -> Any:
            if not file_path.startswith(own):
                return original(loader, file_path)
            if file_path not in self.json_files and (data := original(loader, file_path)) is not None:
                self.json_files[file_path] = data
            return self.json_files.get(file_path)

        # A client looks for some 1,400 of them.
        data = os.path.join(os.path.dirname(loaders.__file__), "data", "")
        there = {os.path.join(directory, name).partition(".json")[0] for directory, _, names in os.walk(data) for name in names}

        def exists(loader: Any, file_path: str) -> bool:
            return file_path in there if file_path.startswith(data) else original_exists(loader, file_path)

        # And lists the directories of all services, once for each kind of file.
        listed: dict[tuple[str, ...], list[str]] = {}

        def list_available_services(loader: Any, type_name: str) -> list[str]:
            if any(not path.startswith(own) and os.path.isdir(path) for path in loader.search_paths):
                return original_list(loader, type_name)
            key = (type_name, *loader.search_paths)
            if key not in listed:
                listed[key] = original_list(loader, type_name)
            return listed[key]

        load_file.original = original
        loaders.JSONFileLoader.load_file, loaders.JSONFileLoader.exists = load_file, exists
        loaders.Loader.list_available_services = list_available_services
        for kind in SERVICE_FILES:
            self.loader().list_available_services(kind)

    def loader(self) -> Any:
        """What finds models, as boto3 sets it up."""
        loader = sys.modules["botocore.loaders"].Loader()
        loader.search_paths.append(os.path.join(os.path.dirname(importlib.import_module("boto3").__file__), "data"))
        return loader

    def learn(self, learnt: int) -> None:
        """Have at hand what the last module had to load by itself."""
        os.set_blocking(learnt, False)
        try:
            report = json.loads(os.read(learnt, 1 << 16) or b"{}")
            names, files = report.get("imports", []), report.get("json_files", [])
        except (OSError, ValueError, AttributeError):
            return  # it ended without a word, or was up to mischief
        finally:
            os.close(learnt)
        for name in names:
            if str(name).partition(".")[0] in LEARNT:
                import_ahead(str(name))
        for file in files:
            self.load_model(str(file))
        if names or files:
            gc.freeze()

    @saves_time
    def load_model(self, file: str) -> None:
        model = sys.modules["botocore.loaders"].JSONFileLoader().load_file(file) or {}
        if "operations" in model:
            emitter = importlib.import_module("botocore.session").Session().get_component("event_emitter")
            creator = importlib.import_module("botocore.client").ClientCreator(None, None, None, emitter, None, None)
            creator._create_methods(importlib.import_module("botocore.model").ServiceModel(model))

    @saves_time
    def load_service(self, service: str) -> None:
        """Load what a client of an AWS service needs."""
        if "botocore.loaders" not in sys.modules:
            return
        loader = self.loader()
        for kind in SERVICE_FILES:
            if service in loader.list_available_services(kind):
                self.load_model(os.path.join(loader.BUILTIN_DATA_PATH, service, loader.determine_latest_version(service, kind), kind))
        gc.freeze()


@saves_time
def keep_client_parts() -> None:
    """Let botocore keep what it makes anew for each session and each client, though always the same: half of their time.

    All of it follows from the arguments alone: whether a handler takes keywords, the present name of an event, the methods of a service.
    """
    client, hooks = sys.modules.get("botocore.client"), sys.modules.get("botocore.hooks")
    if not client or not hooks or hasattr(hooks.accepts_kwargs, "cache_info"):
        return
    original_init, aliases, names = hooks.EventAliaser.__init__, hooks.EVENT_ALIASES, {}

    def init(aliaser: Any, event_emitter: Any, event_aliases: Any = None) -> None:
        original_init(aliaser, event_emitter, event_aliases)
        if event_aliases in (None, aliases):
            aliaser._alias_name_cache = names

    original_methods, known = client.ClientCreator._create_methods, {}

    def create_methods(creator: Any, service_model: Any) -> dict[str, Any]:
        operations = tuple(service_model.operation_names)
        if operations not in known:
            known[operations] = original_methods(creator, service_model)
        return known[operations].copy()  # handlers add to it

    hooks.accepts_kwargs = functools.cache(hooks.accepts_kwargs)
    hooks.EventAliaser.__init__, client.ClientCreator._create_methods = init, create_methods


def receive(connection: socket.socket, length: int) -> bytes:
    data = bytearray()
    while len(data) < length:
        if not (chunk := connection.recv(length - len(data))):
            raise EOFError
        data += chunk
    return bytes(data)


def exhaust(steps: Generator[None, None, Payload]) -> Payload:
    while True:
        try:
            next(steps)
        except StopIteration as finished:
            return finished.value


def library_state() -> list[int]:
    """When something was last installed into or removed from each directory of C(sys.path)."""
    return [os.stat(path).st_mtime_ns if os.path.isdir(path) else 0 for path in sys.path]


def import_ahead(name: str) -> None:
    """Import, if that works: if not, the module that needs it will fail in its own process, as it should."""
    try:
        importlib.import_module(name)
    except (Exception, SystemExit):
        pass


def take_messages() -> bool:
    """Whether there were warnings or deprecations for a module's result. They are gone then."""
    noted = sys.modules.get("ansible.module_utils.common.warnings")
    found = [messages for name in ("_global_warnings", "_global_deprecations") if (messages := getattr(noted, name, None))]
    for messages in found:
        messages.clear()
    return bool(found)


def of_ansible() -> Iterator[str]:
    return (name for name in list(sys.modules) if name.partition(".")[0] in ("ansible", "ansible_collections"))


def forget(name: str) -> None:
    module = sys.modules.pop(name)
    parent, _, child = name.rpartition(".")
    if (package := sys.modules.get(parent)) and vars(package).get(child) is module:
        delattr(package, child)


def run_module(payload: Payload, importer: PayloadImporter, json_files: dict[str, Any], report: int) -> NoReturn:
    """Be the module's process, from its standard input on."""
    with open(0, "rb", closefd=False) as stdin:
        header = json.loads(stdin.readline())
        program = stdin.read()
    os.umask(header["umask"])
    os.chdir(header["cwd"])
    os.environ.clear()
    os.environ.update(header["environment"])
    tempfile.tempdir = None  # TMPDIR may be another
    sys.argv = [""]
    sys.orig_argv[1:] = []

    for name in of_ansible():
        if not payload.shared or name not in payload.members:
            forget(name)
    importer.members = payload.members if payload.plain else {}
    # The wrapper writes the payload and puts it first on sys.path. Its first import makes this known to all that was imported ahead.
    forget_loader = "ansible.module_utils._internal._ansiballz._loader"
    if forget_loader in sys.modules:
        forget(forget_loader)

    def locate() -> None:
        importer.on_first_import = None
        importer.root = sys.path[0]
        for name in of_ansible():
            module = sys.modules[name]
            module.__file__ = module.__spec__.origin = f"{importer.root}/{importer.members[name].path}"
            if hasattr(module, "__path__"):
                module.__path__[:] = [path.replace(ROOT, importer.root, 1) for path in module.__path__]

    importer.on_first_import = locate
    names, files = set(sys.modules), set(json_files)

    def tell() -> None:
        imports = [name for name in sys.modules if name not in names and name.partition(".")[0] in LEARNT]
        os.set_blocking(report, False)
        os.write(report, json.dumps({"imports": imports, "json_files": [file for file in json_files if file not in files]}).encode())

    main = types.ModuleType("__main__")
    sys.modules["__main__"] = main
    end(lambda: exec(compile(program, "<stdin>", "exec", dont_inherit=True), vars(main)), tell)


def end(job: Callable[[], None], last: Callable[[], None]) -> NoReturn:
    """Run the job and end as Python ends a program, but for the destruction of everything, which would take longer than most modules."""
    try:
        job()
        status = 0
    except SystemExit as exit_:
        status = exit_.code if isinstance(exit_.code, int) else int(exit_.code is not None)
        if not isinstance(exit_.code, (int, type(None))):
            print(exit_.code, file=sys.stderr)
    except BaseException as error:
        sys.excepthook(type(error), error, error.__traceback__.tb_next.tb_next)
        status = 1
        if isinstance(error, KeyboardInterrupt):
            signal.signal(signal.SIGINT, signal.SIG_DFL)
            os.kill(os.getpid(), signal.SIGINT)
    threading._shutdown()
    atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (OSError, ValueError):
            status = status or 120
    try:
        last()
    except OSError:
        pass  # the warm process has gone
    os._exit(status & 0xFF)


if __name__ == "__main__":
    here = os.path.dirname(os.path.abspath(__file__))
    sys.path[:] = [entry for entry in sys.path if entry not in ("", here)]
    listener = socket.socket(fileno=int(sys.argv[1]))
    os.set_inheritable(listener.fileno(), False)
    os.set_inheritable(int(sys.argv[2]), False)
    Server(listener, int(sys.argv[2]), sys.argv[3], early=sys.argv[4:] == ["early"]).serve()()
