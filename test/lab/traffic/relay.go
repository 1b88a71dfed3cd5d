package main

import (
	"io"
	"net"
)

// relay lets a namespace reach an address of the machine itself: what listens at the same address inside passes each
// connection on.
func relay(inside *namespace, address string) error {
	return inside.do(func() error {
		listener, err := net.Listen("tcp", address)
		if err != nil {
			return err
		}
		go func() {
			for {
				near, err := listener.Accept()
				if err != nil {
					return
				}
				// This goroutine is on a thread of the machine's own namespace.
				go connect(near, address)
			}
		}()
		return nil
	})
}

func connect(near net.Conn, address string) {
	defer near.Close()
	far, err := net.Dial("tcp", address)
	if err != nil {
		return
	}
	defer far.Close()
	go func() {
		io.Copy(far, near)
		far.Close()
	}()
	io.Copy(near, far)
}
