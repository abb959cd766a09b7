"""python3 -m gradflow plot RUN.h5 [-o FIGURE.png] | watch RUN.h5 | events RUN.h5 | claims RUN.h5"""
import argparse
import sys
from pathlib import Path

WRONG_USAGE, FILE_TROUBLE = 2, 3  # exit codes of the command


def parser():
    main = argparse.ArgumentParser(prog="python3 -m gradflow", description="Runs of gradflow: drawn, watched, in tables.")
    actions = main.add_subparsers(dest="action", required=True)
    for name, told in (("plot", "the standard picture of a run or a comparison"), ("watch", "a window that follows a run"),
                       ("events", "a row for each event"), ("claims", "a row for each of the paper's claims")):
        action = actions.add_parser(name, help=told, description=told)
        action.add_argument("file", metavar="RUN.h5")
        if name == "plot":
            action.add_argument("-o", "--output", metavar="FIGURE", help="its end says the kind: .png, .svg, .pdf; default: "
                                "the run's name with .png, in the current folder")
            action.add_argument("--force", action="store_true", help="replace FIGURE if it exists")
    return main


def act(arguments):
    import gradflow

    if arguments.action == "plot":
        import matplotlib
        matplotlib.use("Agg")
        output = arguments.output or Path(arguments.file).stem + ".png"
        gradflow.plots.check_target(output, arguments.force)
        gradflow.plots.save(gradflow.plots.picture(gradflow.open_file(arguments.file)), output, arguments.force)
        print(output)
    elif arguments.action == "watch":
        print(gradflow.watch(arguments.file))
    else:
        print((gradflow.events if arguments.action == "events" else gradflow.claims)(arguments.file).to_string())


def fail(code, message):
    print(f"gradflow: {message}", file=sys.stderr)
    return code


def main():
    try:
        act(parser().parse_args())
    except ModuleNotFoundError as error:
        return fail(FILE_TROUBLE, f"{sys.executable} has no module {error.name}; on Debian: apt-get install "
                    f"python3-{error.name.split('.')[0]}, or name another interpreter in GRADFLOW_PYTHON")
    except ValueError as error:
        return fail(WRONG_USAGE, error)
    except Exception as error:
        if isinstance(error, OSError) or type(error).__module__.startswith("gradflow."):
            return fail(FILE_TROUBLE, error)
        raise
    return 0


if __name__ == "__main__":
    sys.exit(main())
