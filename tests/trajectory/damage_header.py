"""damage_header.py FILE NAME: changes one byte of the header of that data set, in a file that a writer left open."""
import sys

import h5py

path, name = sys.argv[1:]
with h5py.File(path, "r", libver="latest", swmr=True) as f:
    address = h5py.h5o.get_info(f[name].id).addr
with open(path, "r+b") as f:
    f.seek(address + 20)
    byte = f.read(1)
    f.seek(address + 20)
    f.write(bytes([byte[0] ^ 0xFF]))
