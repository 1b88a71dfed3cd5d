module tierwall.io/test/packet-sender

go 1.26
