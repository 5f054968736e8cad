"""Makes a way out of this network namespace at which nobody is, and counts what goes out by it.

`way out` is said when it stands, then each packet: its protocol, and where to. What the kernel says by itself (neighbours, groups) is no
packet of anybody's.
"""

import ipaddress
import socket
import subprocess
import sys
import threading

GATEWAY = "02:00:00:00:00:02"
COMMANDS = """
ip link set lo up
ip link add out0 type veth peer name far0
ip link set out0 addrgenmode none
ip link set far0 addrgenmode none
ip link set far0 arp off up
ip link set out0 up
ip addr add 10.9.0.1/24 dev out0
ip neigh add 10.9.0.2 lladdr GATEWAY dev out0 nud permanent
ip route add default via 10.9.0.2
""".replace("GATEWAY", GATEWAY)


def describe(packet):
    kind = int.from_bytes(packet[12:14], "big")
    body = packet[14:]
    if kind == 0x0800:
        protocol, to, rest = body[9], ipaddress.ip_address(body[16:20]), body[(body[0] & 15) * 4 :]
    elif kind == 0x86DD:
        protocol, to, rest = body[6], ipaddress.ip_address(body[24:40]), body[40:]
    else:
        return None
    if protocol not in (socket.IPPROTO_TCP, socket.IPPROTO_UDP):
        return None
    name = "tcp" if protocol == socket.IPPROTO_TCP else "udp"
    return f"packet {name} {to} {int.from_bytes(rest[2:4], 'big')}"


def capture(wire):
    while True:
        said = describe(wire.recv(65536))
        if said:
            print(said, flush=True)


def main():
    for command in COMMANDS.strip().splitlines():
        subprocess.run(command.split(), check=True)
    wire = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
    wire.bind(("far0", 0))
    threading.Thread(target=capture, args=(wire,), daemon=True).start()
    print("way out", flush=True)
    sys.stdin.read()


main()
