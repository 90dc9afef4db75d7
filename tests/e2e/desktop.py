"""A real QGIS desktop under Xvfb, driven by real mouse and key events. Knows windows and coordinates, not what is tested.

``startup.py`` runs inside QGIS and writes the dock's state and where its widgets are into a file several times a second;
this side reads it, and moves the mouse with xdotool.
"""

import json
import os
import shutil
import signal
import subprocess
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SCREEN = "1600x1000x24"
NEEDED = ("qgis", "Xvfb", "xdotool", "openbox", "xdpyinfo")
POLL_S = 0.1
STILL_LOOKS = 3
BUSY_S = 60.0


def missing_programs():
    return [name for name in NEEDED if shutil.which(name) is None]


class Desktop:
    """One screen, one QGIS. ``close`` ends what was started, by process id."""

    def __init__(self, folder: Path, raster: Path, engine: str) -> None:
        self.folder = folder
        self.report = folder / "report.json"
        self._display = f":{_free_display()}"
        self._started = []
        self._environment = {
            **os.environ,
            "DISPLAY": self._display,
            "HOME": str(folder),
            "XDG_RUNTIME_DIR": str(folder),
            "XDG_DATA_HOME": str(folder / "data é"),
            "GEOMM_CACHE_DIR": str(folder / "cache é"),
            "GEOMM_ENGINE": engine,
            "GEOMM_E2E_REPORT": str(self.report),
            "GEOMM_E2E_RASTER": str(raster),
            "GEOMM_E2E_PROJECT": str(folder / "project é.qgz"),
        }
        self._environment.pop("QT_QPA_PLATFORM", None)
        self._environment.pop("WAYLAND_DISPLAY", None)

    def start(self) -> None:
        self._spawn("Xvfb", self._display, "-screen", "0", SCREEN, "-nolisten", "tcp")
        self.wait(lambda: self._call("xdpyinfo") == 0, 20, "the screen")
        self._spawn("openbox")
        profile = self.folder / "profiles" / "default"
        (profile / "python" / "plugins").mkdir(parents=True)
        (profile / "QGIS").mkdir()
        (profile / "python" / "plugins" / "geomm").symlink_to(ROOT / "geomm_plugin")
        settings = (
            "[PythonPlugins]\ngeomm=true\n[qgis]\ncheckVersion=false\n[locale]\noverrideFlag=true\nuserLocale=en_US\n"
        )
        (profile / "QGIS" / "QGIS3.ini").write_text(settings)
        startup = str(Path(__file__).with_name("startup.py"))
        log = (self.folder / "qgis.log").open("wb")
        arguments = ("--profiles-path", str(self.folder), "--nologo", "--noversioncheck", "--code", startup)
        self.qgis = self._spawn("qgis", *arguments, output=log)
        self.wait(lambda: self.state().get("engine") == "ready", 180, "QGIS and the engine")
        self.wait(lambda: self.state()["preflight"], 60, "the first look at the layer")

    def _spawn(self, *command, output=subprocess.DEVNULL):
        process = subprocess.Popen(command, env=self._environment, stdout=output, stderr=output)
        self._started.append(process)
        return process

    def _call(self, *command):
        return subprocess.run(command, env=self._environment, capture_output=True, check=False).returncode

    # --- seeing

    def state(self) -> dict:
        """What ``startup.py`` wrote last."""
        try:
            return json.loads(self.report.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return {}

    def wait(self, is_so, timeout_s, what):
        """Polls another process, which has no signal to wait for."""
        end = time.monotonic() + timeout_s
        while time.monotonic() < end:
            if is_so():
                return
            time.sleep(POLL_S)
        self._picture("timeout")
        raise AssertionError(f"waited in vain for {what}; state: {json.dumps(self.state())[:3000]}")

    def screenshot(self, name: str) -> Path:
        """A picture of the whole screen once the map is drawn, kept in GEOMM_SHOTS if that is set."""
        self.next_report()
        self.wait(lambda: not self.state()["is_drawing"], BUSY_S, "the map")
        return self._picture(name)

    def _picture(self, name: str) -> Path:
        folder = Path(os.environ.get("GEOMM_SHOTS", self.folder))
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / f"{name}.png"
        if shutil.which("import"):
            self._call("import", "-window", "root", str(path))
        return path

    # --- doing

    def click(self, name: str, dx: float = 0.5, dy: float = 0.5, *, times: int = 1) -> None:
        """A mouse click into a widget; ``dx`` and ``dy`` are shares of its size."""

        def is_under_the_pointer():
            left, top, width, height = self._settled(name)
            self._call("xdotool", "mousemove", str(int(left + dx * width)), str(int(top + dy * height)))
            self.next_report()
            return name in self.state()["under_pointer"]

        self.wait(is_under_the_pointer, 180, f"the pointer over {name}")
        self._call("xdotool", "click", "--repeat", str(times), "--delay", "80", "1")

    def _settled(self, name: str):
        """Where a widget is, once it stands still: a text above it may have grown by a line just now."""
        seen = []

        def stands_still():
            self.next_report()
            seen.append(self.state()["widgets"].get(name))
            last = seen[-STILL_LOOKS:]
            return len(last) == STILL_LOOKS and last[-1] is not None and len({str(place) for place in last}) == 1

        self.wait(stands_still, 120, f"the widget {name}")
        return seen[-1]

    def next_report(self) -> None:
        """Until QGIS has reported twice more: while it is busy, its last report grows old, and the next may be half old."""
        now = self.state()["beat"]
        self.wait(lambda: self.state()["beat"] > now + 1, BUSY_S, "QGIS to answer")

    def click_into(self, name: str) -> None:
        """Clicks into a field and waits until it has the keyboard."""
        self.click(name)
        self.wait(lambda: self.state().get("focus") == name, 10, f"the keyboard in {name}")

    def drag(self, name: str, start: float, end: float) -> None:
        """Drags inside a widget from one share of its width to another."""
        left, top, width, height = self._settled(name)
        y = str(int(top + height / 2))
        self._call("xdotool", "mousemove", str(int(left + start * width)), y, "mousedown", "1")
        for step in range(1, 6):
            self._call("xdotool", "mousemove", str(int(left + (start + (end - start) * step / 5) * width)), y)
        self._call("xdotool", "mouseup", "1")

    def type(self, text: str) -> None:
        self._call("xdotool", "type", "--delay", "15", text)

    def key(self, *names: str) -> None:
        self._call("xdotool", "key", *names)

    # --- ending

    def end_qgis(self, timeout_s: float = 40) -> int:
        """Closes QGIS as a person does, and waits for it."""
        (self.folder / "report.json.quit").touch()
        return self.qgis.wait(timeout_s)

    def close(self) -> None:
        for process in reversed(self._started):
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)
                try:
                    process.wait(10)
                except subprocess.TimeoutExpired:
                    process.kill()
                    process.wait(10)


def _free_display() -> int:
    return next(number for number in range(90, 200) if not Path(f"/tmp/.X11-unix/X{number}").exists())
