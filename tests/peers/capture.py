"""Makes ways out of this network namespace at which nobody is, and counts what goes out by them.

They are named as arguments, `NAME NUMBER`: a network device, and the 10.NUMBER.0.0/24 that it leads to, where this host is .1. By the first one
everything else is routed. `ways out` is said when they stand, then each packet: the device that it left by, its protocol, and where to. What the
kernel says by itself (neighbours, groups) is no packet of anybody's.
"""

import ipaddress
import os
import socket
import subprocess
import sys
import threading

GATEWAY = "02:00:00:00:00:02"
COMMANDS = """
ip link add NAME type veth peer name far-NAME
ip link set NAME addrgenmode none
ip link set far-NAME addrgenmode none
ip link set far-NAME arp off up
ip link set NAME up
ip addr add 10.NUMBER.0.1/24 dev NAME
ip neigh add 10.NUMBER.0.2 lladdr GATEWAY dev NAME nud permanent
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
    return f"{name} {to} {int.from_bytes(rest[2:4], 'big')}"


def capture(name, wire):
    while True:
        try:
            said = describe(wire.recv(65536))
        except OSError:
            # It is down: there may be more later, unless it is gone.
            if not os.path.exists(f"/proc/sys/net/ipv4/conf/far-{name}"):
                return
            continue
        if said:
            # One write a line: the devices' threads share the output.
            os.write(1, f"packet {name} {said}\n".encode())


def run(commands):
    for command in commands.strip().splitlines():
        subprocess.run(command.split(), check=True)


def main():
    ways = list(zip(sys.argv[1::2], sys.argv[2::2]))
    run("ip link set lo up")
    for name, number in ways:
        run(COMMANDS.replace("NAME", name).replace("NUMBER", number))
        wire = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
        wire.bind((f"far-{name}", 0))
        threading.Thread(target=capture, args=(name, wire), daemon=True).start()
    run(f"ip route add default via 10.{ways[0][1]}.0.2")
    print("ways out", flush=True)
    sys.stdin.read()


main()
