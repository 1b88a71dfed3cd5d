package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"strconv"
	"time"
)

// BedHost is a network namespace that talks and listens.
type BedHost struct {
	Name      string   `json:"name"`
	Path      string   `json:"path"`
	Addresses []string `json:"addresses"`
	TCP       []int    `json:"tcp"`
	UDP       []int    `json:"udp"`
}

// BedProbe is a new flow from a host; Protocol is tcp, udp, icmp or sctp.
type BedProbe struct {
	From     string `json:"from"`
	To       string `json:"to"`
	Protocol string `json:"protocol"`
	Port     int    `json:"port"`
}

// BedOrder is one line of input. Do is hosts, relay, probe, open, echo, push or close.
type BedOrder struct {
	ID     int        `json:"id"`
	Do     string     `json:"do"`
	Hosts  []BedHost  `json:"hosts"`
	Probes []BedProbe `json:"probes"`
	// TimeoutMs is the silence after which nothing more is expected.
	TimeoutMs int `json:"timeoutMs"`
	// Host and Address of a relay.
	Host    string `json:"host"`
	Address string `json:"address"`
	// Flows are what open has answered.
	Flows []int `json:"flows"`
}

type bedMember struct {
	*namespace
	name string
	// Raw sockets see SCTP arrive: the kernel need not know the protocol.
	sctp []int
}

// bed is many namespaces in one process, so that a batch of probes is one order.
type bed struct {
	members map[string]*bedMember
	flows   map[int]*flow
	last    int
	pushes  *pushes
}

// pending is the rest of an order, which nobody else has to wait for.
type pending func() (any, error)

// runBed obeys line by line until the input ends.
func runBed(input io.Reader, output io.Writer) error {
	b := &bed{members: map[string]*bedMember{}, flows: map[int]*flow{}, pushes: newPushes()}
	answers := newAnswers(output)
	lines := bufio.NewScanner(input)
	lines.Buffer(nil, 1<<24)
	for lines.Scan() {
		var order BedOrder
		if err := json.Unmarshal(lines.Bytes(), &order); err != nil {
			return err
		}
		outcome, err := b.obey(order)
		if rest, ok := outcome.(pending); ok && err == nil {
			go func() {
				outcome, err := rest()
				answers.give(order.ID, outcome, err)
			}()
			continue
		}
		answers.give(order.ID, outcome, err)
	}
	return lines.Err()
}

func (b *bed) obey(order BedOrder) (any, error) {
	timeout := time.Duration(order.TimeoutMs) * time.Millisecond
	switch order.Do {
	case "hosts":
		for _, host := range order.Hosts {
			if err := b.admit(host); err != nil {
				return nil, fmt.Errorf("%s: %w", host.Name, err)
			}
		}
		return true, nil
	case "relay":
		member := b.members[order.Host]
		if member == nil {
			return nil, fmt.Errorf("no host %q", order.Host)
		}
		return true, relay(member.namespace, order.Address)
	case "probe":
		return b.probe(order.Probes, timeout)
	case "open":
		return b.open(order.Probes, timeout)
	case "echo":
		return b.echo(order.Flows, timeout, true)
	case "push":
		return b.echo(order.Flows, timeout, false)
	case "close":
		b.closeFlows(order.Flows)
		return true, nil
	}
	return nil, fmt.Errorf("unknown order %q", order.Do)
}

func (b *bed) admit(host BedHost) error {
	entered, err := enterNamespace(host.Path)
	if err != nil {
		return err
	}
	member := &bedMember{namespace: entered, name: host.Name}
	b.members[host.Name] = member
	return member.do(func() error {
		if member.sctp, err = sctpReceivers(); err != nil {
			return err
		}
		for _, port := range host.TCP {
			// No keepalives: connections that nobody uses are to be silent.
			quiet := net.ListenConfig{KeepAlive: -1}
			listener, err := quiet.Listen(context.Background(), "tcp", ":"+strconv.Itoa(port))
			if err != nil {
				return err
			}
			go b.pushes.acceptAll(listener, host.Name)
		}
		// On each address and not on any: the answer must come from the address that was asked.
		for _, address := range host.Addresses {
			for _, port := range host.UDP {
				socket, err := net.ListenPacket("udp", net.JoinHostPort(address, strconv.Itoa(port)))
				if err != nil {
					return err
				}
				go b.pushes.answerAll(socket, host.Name)
			}
		}
		return nil
	})
}
