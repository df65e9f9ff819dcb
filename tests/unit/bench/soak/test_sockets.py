"""Connections in the kernel's table."""

from bench.soak.sockets import parse_connections

TABLE = """\
  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 100 1 0 100 0 0 10 0
   1: 0100007F:1F90 0100007F:A001 01 00000000:00000000 00:00000000 00000000     0        0 101 1 0 20 4 30 10 -1
   2: 0100007F:1F90 0100007F:A002 08 00000000:00000000 00:00000000 00000000     0        0 102 1 0 20 4 30 10 -1
   3: 0100007F:1F90 0100007F:A003 06 00000000:00000000 03:00000000 00000000     0        0 0 3 0
   4: 0100007F:A001 0100007F:1F90 01 00000000:00000000 00:00000000 00000000     0        0 103 1 0 20 4 30 10 -1
   5: 0100007F:2000 0100007F:A004 01 00000000:00000000 00:00000000 00000000     0        0 104 1 0 20 4 30 10 -1
"""


def test_the_clients_port_is_found_by_the_socket_of_the_server() -> None:
    """Neither the listener, nor what is over, nor the client's own end, nor another server's connection."""
    assert parse_connections(TABLE, 0x1F90) == {"101": 0xA001, "102": 0xA002}
