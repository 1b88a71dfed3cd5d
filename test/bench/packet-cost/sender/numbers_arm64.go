package main

// Newer than the frozen table of package syscall.
const (
	sysSendmmsg = 269
	sysSetns    = 268
)
