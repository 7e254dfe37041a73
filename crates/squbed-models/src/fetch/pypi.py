"""Fetches one archive of a package through pip's own settings (index, mirrors, proxies, find-links,
certificates) and runs nothing of the package: `pip download` would run a source archive's setup.py.

Arguments: package, file name of the archive, destination.
Standard output: `timeout SECONDS`, `total BYTES` and `got BYTES` lines.
Exit: 0 done, 3 no pip, 4 this pip is not understood, 5 no such archive, 6 the download failed.
"""

import logging
import sys


def fail(code, message):
    print(message, file=sys.stderr)
    sys.exit(code)


def say(*words):
    print(*words, flush=True)


def prepare(command):
    """Options, session and finder as `pip download` itself would have them."""
    options, _ = command.parse_args(
        ["--no-deps", "--no-input", "--no-cache-dir", "--retries", "1"]
    )
    # A configured `only-binary` would hide source archives, `no-binary` would hide wheels.
    options.format_control.no_binary.clear()
    options.format_control.only_binary.clear()
    session = command.get_default_session(options)
    # An unreachable index is noticed by its connection; a slow one gets the time the user allows it.
    session.timeout = (min(5.0, float(options.timeout)), float(options.timeout))
    finder = command._build_package_finder(options=options, session=session, ignore_requires_python=True)
    say("timeout", int(options.timeout))
    return session, finder


def main():
    package, archive, destination = sys.argv[1:]
    try:
        import pip
    except ImportError as error:
        fail(3, error)
    try:
        from pip._internal.commands import create_command
    except ImportError as error:
        fail(4, "pip %s: %s" % (pip.__version__, error))

    # Why an index was skipped is worth knowing when nothing is found.
    logging.basicConfig(stream=sys.stderr, level=logging.WARNING, format="%(message)s")
    logging.getLogger("pip._internal.index.collector").setLevel(logging.INFO)

    command = create_command("download")
    with command.main_context():
        try:
            session, finder = prepare(command)
            find = finder.find_all_candidates
        except (AttributeError, TypeError, KeyError, SystemExit) as error:
            fail(4, "pip %s: %s" % (pip.__version__, error))
        try:
            links = [c.link for c in find(package) if c.link.filename == archive]
        except Exception as error:
            fail(6, error)
        if not links:
            fail(5, "no `%s` where pip looks" % archive)
        try:
            response = session.get(
                links[0].url_without_fragment, headers={"Accept-Encoding": "identity"}, stream=True
            )
            response.raise_for_status()
            if response.headers.get("Content-Length"):
                say("total", response.headers["Content-Length"])
            done = 0
            with open(destination, "wb") as out:
                for chunk in response.iter_content(1 << 19):
                    out.write(chunk)
                    done += len(chunk)
                    say("got", done)
        except Exception as error:
            fail(6, error)


main()
