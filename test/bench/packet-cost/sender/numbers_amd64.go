package main

// Newer than the frozen table of package syscall.
const (
	sysSendmmsg = 307
	sysSetns    = 308
)
