"""kills.py [N]: kills N runs of the command at random moments, goes on with each until it is complete, being killed again
on the way, and compares all that they hold with a run that nothing interrupted. Prints the tally (N = 1000 takes minutes)."""
import random
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "cli"))
import command  # noqa: E402
import test_resume as resume  # noqa: E402


def main():
    wanted, tally, draw = int(sys.argv[1]) if len(sys.argv) > 1 else 1000, Counter(), random.Random(7)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "small.toml").write_text(resume.EXPERIMENT)
        whole = {}
        for kind, settings in resume.KINDS.items():
            began = time.monotonic()
            assert resume.run_for(folder, 600, "simulate", "small.toml", "-o", "whole.h5", "--force", *resume.arguments(settings))
            whole[kind] = command.contents(folder / "whole.h5"), time.monotonic() - began
        while tally["kills"] < wanted:
            kind = draw.choice(list(resume.KINDS))
            expected, seconds = whole[kind]
            path = folder / "killed.h5"
            path.unlink(missing_ok=True)
            done = resume.run_for(folder, draw.uniform(0, 1.2) * seconds, "simulate", "small.toml", "-o", path.name,
                                  *resume.arguments(resume.KINDS[kind]))
            while not done and path.exists():
                tally["kills"] += 1
                done = resume.run_for(folder, draw.uniform(0, 1.2) * seconds, "resume", path.name)
            if not path.exists():
                tally["killed before there was a file"] += 1
                continue
            found = command.contents(path)
            wrong = [item for item in expected if not np.all(found[item] == expected[item])] if found.keys() == expected.keys() else ["names"]
            tally["complete and the same"] += not wrong
            for item in wrong:
                tally[f"differs: {kind}: {item}"] += 1
    for what, count in sorted(tally.items()):
        print(f"{count:6d}  {what}")


if __name__ == "__main__":
    main()
