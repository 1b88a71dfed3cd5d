package main

import (
	"fmt"
	"io"
	"net"
	"sync"
)

// pushes knows every client that a listener of the bed has heard, by the client's address, so that the server's side
// can speak without being asked.
type pushes struct {
	mutex   sync.Mutex
	clients map[string]func()
}

func newPushes() *pushes {
	return &pushes{clients: map[string]func(){}}
}

func pushKey(network string, client, server string) string {
	return network + " " + client + " " + server
}

func (p *pushes) set(key string, speak func()) {
	p.mutex.Lock()
	defer p.mutex.Unlock()
	if speak == nil {
		delete(p.clients, key)
	} else {
		p.clients[key] = speak
	}
}

// speak lets the server's side of a flow say something; false if there is none.
func (p *pushes) speak(key string) bool {
	p.mutex.Lock()
	speak := p.clients[key]
	p.mutex.Unlock()
	if speak != nil {
		speak()
	}
	return speak != nil
}

func (p *pushes) acceptAll(listener net.Listener, name string) {
	for {
		connection, err := listener.Accept()
		if err != nil {
			return
		}
		key := pushKey("tcp", connection.RemoteAddr().String(), connection.LocalAddr().String())
		p.set(key, func() { fmt.Fprintln(connection, name) })
		go func() {
			defer p.set(key, nil)
			defer connection.Close()
			if _, err := fmt.Fprintln(connection, name); err != nil {
				return
			}
			io.Copy(connection, connection)
		}()
	}
}

func (p *pushes) answerAll(socket net.PacketConn, name string) {
	buffer := make([]byte, 1<<16)
	for {
		_, from, err := socket.ReadFrom(buffer)
		if err != nil {
			return
		}
		p.set(pushKey("udp", from.String(), socket.LocalAddr().String()), func() { socket.WriteTo([]byte(name), from) })
		socket.WriteTo([]byte(name), from)
	}
}
