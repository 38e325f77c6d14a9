# Copyright: threetier.aws contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Makes the modules of a play ready while its first tasks run. Documented in plugins/modules/warm_up.py.

An action plugin, because modules are packed by the controller. The work is done by a process in the background, a fork of the task's
worker: it has Ansible in memory, and the task's variables. It packs each module with Ansible's own function into Ansible's own cache of the
run, where the worker of a later task finds it (and waits for it if it is just being made), and offers it to the warm process.

It is only about speed: whatever goes wrong here is left out, and the task that needs it does it itself.
"""

from __future__ import annotations

import functools
import os
import select
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import ansible.constants as C
from ansible.executor import module_common
from ansible.playbook.block import Block
from ansible.playbook.task import Task
from ansible.plugins.action import ActionBase
from ansible.plugins.loader import connection_loader
from ansible.template import trust_as_template
from ansible.utils.display import Display

from ansible_collections.threetier.aws.plugins.connection.warm import open_controller

display = Display()

KEYWORDS = {*Task.fattributes, *Block.fattributes}
INCLUDES = ("include_tasks", "import_tasks")

# The strategy imports this file into ansible-playbook itself, so each worker forked from there has the plugin, which it would otherwise
# import with its documentation: 4.5 ms a task.
connection_loader.get("threetier.aws.warm", class_only=True)


class ActionModule(ActionBase):
    TRANSFERS_FILES = False
    _VALID_ARGS = frozenset({"modules"})

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        result = super().run(tmp, task_vars)
        _, arguments = self.validate_argument_spec({"modules": {"type": "list", "elements": "str", "default": []}})
        result["changed"] = False
        try:
            if reason := self._reason_not_to():
                display.vvv(f"no warm up: {reason}", host=self._play_context.remote_addr)
            else:
                self._start(arguments["modules"], task_vars or {})
        except Exception as error:  # what Ansible has changed inside, or no more processes
            display.vvv(f"no warm up: {error!r}", host=self._play_context.remote_addr)
        return result

    def _reason_not_to(self) -> str | None:
        if not getattr(self._connection, "runs_warm", False):
            return "the modules of this task would not run warm"
        try:
            os.close(os.open(os.path.join(C.DEFAULT_LOCAL_TMP, f"warm-up-{self._task._uuid}"), os.O_CREAT | os.O_EXCL))
        except FileExistsError:
            return "another host has started it"
        return None

    def _start(self, modules: list[str], task_vars: dict[str, Any]) -> None:
        """Start the warm process, and fork. Returns in the worker only."""
        _, interpreter = module_common._get_shebang("/usr/bin/python", task_vars, self._templar)
        if not self._connection.start(interpreter):
            raise OSError("there is no warm process")
        controller = open_controller()
        directory = os.open(C.DEFAULT_LOCAL_TMP, os.O_RDONLY)
        try:
            if not os.fork():
                try:
                    detach(controller, directory)
                    self._work(modules, task_vars, 3, 4)
                finally:
                    os._exit(0)
        finally:
            os.close(controller)
            os.close(directory)

    def _work(self, modules: list[str], task_vars: dict[str, Any], controller: int, directory: int) -> None:
        remember_parsed_files()
        done: set[str] = set()
        for name in self._names(modules, task_vars):
            if name in done:
                continue
            done.add(name)
            if select.select([controller], [], [], 0)[0]:
                return
            try:
                module, _ = self._configure_module(name, {}, task_vars)
            except Exception:
                continue  # its own task will say so
            if not is_still(C.DEFAULT_LOCAL_TMP, directory):  # Ansible has removed it, and packing has made it again
                shutil.rmtree(C.DEFAULT_LOCAL_TMP, ignore_errors=True)
                return
            if module.module_style == "new":  # not the mere documentation of an action plugin
                self._connection.prepare(module.shebang.removeprefix("#!"), module.b_module_data)

    def _names(self, modules: list[str], task_vars: dict[str, Any]) -> Iterator[str]:
        """The modules of the play in the order of their tasks, then those given."""
        play = self._task.get_play()
        data = play.get_ds()
        playbook = Path(self._loader.get_basedir())
        yield from self._named_in(data.get("pre_tasks"), playbook, playbook, task_vars)
        for role in play.roles:
            if not role.tags or {"all", "always"} & {*play.only_tags, *role.tags} or {*role.tags} & {*play.only_tags}:
                for each in (*role.get_all_dependencies(), role):
                    folder = Path(each._role_path, "tasks")
                    yield from self._named_in_file(folder / "main.yml", folder, {**task_vars, **each.get_vars()})
        for section in ("tasks", "post_tasks"):
            yield from self._named_in(data.get(section), playbook, playbook, task_vars)
        yield from modules

    def _named_in_file(self, file: Path, root: Path, variables: dict[str, Any]) -> Iterator[str]:
        if file.is_file():
            yield from self._named_in(self._loader.load_from_file(str(file)), file.parent, root, variables)

    def _named_in(self, tasks: Any, folder: Path, root: Path, variables: dict[str, Any]) -> Iterator[str]:
        """The modules in a list of tasks as it is written. I(folder) is that of its file, I(root) that of its role or playbook."""
        for task in tasks or ():
            for key, value in task.items():
                if key in ("block", "always"):
                    yield from self._named_in(value, folder, root, variables)
                elif key.removeprefix("ansible.builtin.") in INCLUDES:
                    file = value if isinstance(value, str) else value["file"]
                    if "{{" in file:
                        templar = self._templar.copy_with_new_env(available_variables={**variables, **task.get("vars", {})})
                        try:
                            file = templar.template(trust_as_template(file))
                        except Exception:
                            continue  # it depends on what is not known yet
                    for base in dict.fromkeys((folder, root)):
                        yield from self._named_in_file(base / file, root, variables)
                elif key not in KEYWORDS and not key.startswith("with_"):
                    yield key


def detach(*descriptors: int) -> None:
    """Keep nothing that belongs to the worker but the descriptors, which become 3 and up."""
    os.setsid()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_DFL)
    null = os.open(os.devnull, os.O_RDWR)
    for number, descriptor in enumerate((null, null, null, *map(os.dup, descriptors))):
        os.dup2(descriptor, number)
    os.closerange(3 + len(descriptors), 1 << 16)
    # Messages of a worker go through a pipe that it shares with the others. The tasks themselves will say what there is to say.
    display.verbosity = 0
    display._final_q = None


def remember_parsed_files() -> None:
    """Modules share most of what they import: let Ansible parse and look through each file once, and not once a module."""
    finder = module_common.ModuleDepFinder
    look_through = finder.__init__
    found: dict[Any, dict[str, Any]] = {}

    def look_through_once(self: Any, *args: Any, **kwargs: Any) -> None:
        key = (args, *kwargs.items())
        if key not in found:
            look_through(self, *args, **kwargs)
            found[key] = vars(self)
        vars(self).update(found[key])

    module_common._compile_module_ast = functools.cache(module_common._compile_module_ast)
    finder.__init__ = look_through_once


def is_still(path: str, descriptor: int) -> bool:
    """Whether a path is still that of the open directory."""
    try:
        return os.path.samestat(os.stat(path), os.fstat(descriptor))
    except FileNotFoundError:
        return False
