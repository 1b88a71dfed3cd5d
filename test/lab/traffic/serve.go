package main

import (
	"flag"
	"fmt"
	"io"
	"net"
	"os"
	"os/signal"
	"strings"
	"syscall"
)

// serve listens on each port: a TCP client is greeted with the name and then hears its own bytes; a UDP datagram is
// answered with the name.
func serve(args []string) error {
	flags := flag.NewFlagSet("serve", flag.ExitOnError)
	name := flags.String("name", os.Getenv("HOSTNAME"), "what to answer with")
	tcp := flags.String("tcp", "", "TCP ports, separated by commas")
	udp := flags.String("udp", "", "UDP ports, separated by commas")
	if err := flags.Parse(args); err != nil {
		return err
	}
	for _, port := range ports(*tcp) {
		listener, err := net.Listen("tcp", ":"+port)
		if err != nil {
			return err
		}
		go acceptAll(listener, *name)
	}
	for _, port := range ports(*udp) {
		socket, err := net.ListenPacket("udp", ":"+port)
		if err != nil {
			return err
		}
		go answerAll(socket, *name)
	}
	end := make(chan os.Signal, 1)
	signal.Notify(end, syscall.SIGINT, syscall.SIGTERM)
	<-end
	return nil
}

func ports(list string) []string {
	return strings.FieldsFunc(list, func(r rune) bool { return r == ',' })
}

func acceptAll(listener net.Listener, name string) {
	for {
		connection, err := listener.Accept()
		if err != nil {
			return
		}
		go func() {
			defer connection.Close()
			if _, err := fmt.Fprintln(connection, name); err != nil {
				return
			}
			io.Copy(connection, connection)
		}()
	}
}

func answerAll(socket net.PacketConn, name string) {
	buffer := make([]byte, 2048)
	for {
		_, from, err := socket.ReadFrom(buffer)
		if err != nil {
			return
		}
		socket.WriteTo([]byte(name), from)
	}
}
