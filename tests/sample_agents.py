"""Agents for tests: good ones, and one for each way to go wrong. Called in a child process, as `sample_agents:name`."""

import os
import subprocess
import sys
import time
from pathlib import Path


def completed(**result):
    return {"status": "completed", "result": result}


def echo(request):
    """Give back what arrived, and the process that it arrived in."""
    return completed(request=request, pid=os.getpid())


def environment(request):
    return completed(names=sorted(os.environ))


def prints(request):
    print("talking to myself")
    os.system("echo so does what I start")
    return completed(heard=sys.stdin.read())


def floods_errors(request):
    sys.stderr.write("x" * 5_000_000)
    sys.stdout.write("y" * 5_000_000)
    return completed(done=True)


def too_large(request):
    return completed(text="x" * 2_000_000)


def not_a_number(request):
    return completed(value=float("nan"))


def a_list(request):
    return [1, 2]


def no_json(request):
    return completed(value={1, 2})


def raises(request):
    raise ValueError("the form is empty")


def leaves(request):
    sys.exit("bye")


def crashes(request):
    print("about to fall", file=sys.stderr)
    os._exit(3)


def killed(request):
    os.kill(os.getpid(), 9)


def half_an_answer(request):
    """Write the beginning of an answer where the child writes its answers, and die."""
    for descriptor in range(3, 20):
        try:
            os.write(descriptor, b'={"status": "compl')
        except OSError:
            continue
    os._exit(0)


def hangs(request):
    """Note the process and a second one that it starts, then never answer."""
    started = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    Path(request["input"]["pids"]).write_text(f"{os.getpid()} {started.pid}")
    time.sleep(60)


def deaf(request):
    """As `hangs`, and deaf to what can be ignored."""
    import signal

    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    hangs(request)


def loaded(request):
    """Name what is loaded once the shipped agents are."""
    from mission_pipeline.runner.shipped_agents import onboarding, sales, support

    assert onboarding
    assert sales
    assert support
    return completed(modules=sorted(sys.modules))
