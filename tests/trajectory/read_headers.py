"""read_headers.py FILE: no structure of HDF5 that changes as data sets grow lies across two pages of 4096 bytes:
neither their headers nor the indices of their chunks (HDF5 File Format Specification 3.0, "Version 2 Data Object Header
Prefix" and "The Extensible Array Index")."""
import re
import sys

data = open(sys.argv[1], "rb").read()


def header_size(at):
    """Of a version 2 object header at this address, its checksum included."""
    flags = data[at + 5]
    sizes = at + 6 + (16 if flags & 0x20 else 0) + (4 if flags & 0x10 else 0)
    width = 1 << (flags & 3)
    return sizes + width + int.from_bytes(data[sizes : sizes + width], "little") + 4 - at


headers = [match.start() for match in re.finditer(rb"OHDR\x02", data)]
# Of an extensible array: the header; the index block, with 4 elements and the addresses of 6 data blocks and 25
# secondary blocks; the data blocks, of at least 16 elements.
fixed = {b"EAHD\x00": 12 + 6 * 8 + 8 + 4, b"EAIB\x00": 14 + (4 + 6 + 25) * 8 + 4, b"EADB\x00": 14 + 4 + 16 * 8 + 4}
places = [(at, header_size(at)) for at in headers]
for signature, size in fixed.items():
    places += [(match.start(), size) for match in re.finditer(re.escape(signature), data)]
assert len(headers) > 80 and len(places) > 1.5 * len(headers), "too little to judge by"
across = [at for at, size in places if at // 4096 != (at + size - 1) // 4096]
assert not across, f"{len(across)} of {len(places)} lie across pages, the first at {across[0]}"
