module tierwall.io/test/traffic

go 1.26
