"""A peer on python3-zeroconf: prints what it finds, or holds a name.

    zeroconf_peer.py browse TYPE INSTANCE   resolve one service and print it
    zeroconf_peer.py hold TYPE INSTANCE     register a service until stdin ends
"""

import socket
import sys

from zeroconf import IPVersion, ServiceInfo, Zeroconf

mode, kind, instance = sys.argv[1:]
kind += ".local."
zc = Zeroconf(interfaces=["127.0.0.1"], ip_version=IPVersion.V4Only)
if mode == "browse":
    info = zc.get_service_info(kind, instance + "." + kind, timeout=5000)
    if info is None:
        sys.exit("not found")
    print("server", info.server)
    print("port", info.port)
    for address in info.parsed_addresses():
        print("address", address)
    for key, value in info.properties.items():
        print("txt", key.decode() + "=" + value.decode())
else:
    info = ServiceInfo(
        kind,
        instance + "." + kind,
        port=5000,
        addresses=[socket.inet_aton("127.0.0.1")],
        server="python-peer.local.",
        properties={"model": "Other"},
    )
    zc.register_service(info)
    print("registered", flush=True)
    sys.stdin.read()
zc.close()
