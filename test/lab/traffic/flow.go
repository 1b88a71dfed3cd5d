package main

import (
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"syscall"
	"time"
)

// flow is a connection (TCP) or a pair of ports (UDP) that is kept.
type flow struct {
	descriptor int
	protocol   string
	// How the server's side knows it.
	key string
}

// open starts flows that stay: the answer has a number for each, 0 where no answer came.
func (b *bed) open(probes []BedProbe, timeout time.Duration) ([]int, error) {
	numbers := make([]int, len(probes))
	attempts, err := b.begin(probes, make([]string, len(probes)))
	if err != nil {
		return nil, err
	}
	var begun []int
	for _, attempt := range attempts {
		b.last++
		probe := probes[attempt.index]
		b.flows[b.last] = &flow{descriptor: attempt.descriptor, protocol: probe.Protocol}
		numbers[attempt.index] = b.last
		begun = append(begun, b.last)
	}
	// The server greets, so that both ends and all that is between have seen the flow work.
	heard, err := listen(b.descriptors(begun), timeout)
	if err != nil {
		return nil, err
	}
	for index, number := range numbers {
		if number == 0 {
			continue
		}
		if !heard[number] {
			b.closeFlows([]int{number})
			numbers[index] = 0
			continue
		}
		kept := b.flows[number]
		local, err := syscall.Getsockname(kept.descriptor)
		if err != nil {
			return nil, err
		}
		server := net.JoinHostPort(probes[index].To, strconv.Itoa(probes[index].Port))
		kept.key = pushKey(kept.protocol, addressText(local), server)
	}
	return numbers, nil
}

// echo lets the client's side of each flow speak (or the server's); what it gives tells where an answer came back.
func (b *bed) echo(numbers []int, timeout time.Duration, client bool) (pending, error) {
	for _, number := range numbers {
		kept := b.flows[number]
		if kept == nil {
			return nil, fmt.Errorf("no flow %d", number)
		}
		drain(kept.descriptor)
		if client {
			// A failed write shows as silence.
			syscall.Sendto(kept.descriptor, []byte("line\n"), syscall.MSG_NOSIGNAL, nil)
		} else if !b.pushes.speak(kept.key) {
			return nil, fmt.Errorf("the server does not know flow %d, %s", number, kept.key)
		}
	}
	waiting := b.descriptors(numbers)
	return func() (any, error) {
		heard, err := listen(waiting, timeout)
		answers := make([]bool, len(numbers))
		for index, number := range numbers {
			answers[index] = heard[number]
		}
		return answers, err
	}, nil
}

// descriptors gives flows by them.
func (b *bed) descriptors(numbers []int) map[int]int {
	flows := map[int]int{}
	for _, number := range numbers {
		flows[b.flows[number].descriptor] = number
	}
	return flows
}

// listen waits until each flow has heard something. It empties what it is given.
func listen(waiting map[int]int, timeout time.Duration) (map[int]bool, error) {
	poll, err := newPoll()
	if err != nil {
		return nil, err
	}
	defer poll.close()
	for descriptor := range waiting {
		if err := poll.add(descriptor, syscall.EPOLLIN); err != nil {
			return nil, err
		}
	}
	heard := map[int]bool{}
	for deadline := time.Now().Add(timeout); len(waiting) > 0; {
		ready, err := poll.wait(time.Until(deadline))
		if err != nil {
			return nil, err
		}
		if len(ready) == 0 && time.Now().After(deadline) {
			break
		}
		for _, descriptor := range ready {
			// An end or an error also makes it readable, and gives nothing to read.
			heard[waiting[descriptor]] = drain(descriptor) > 0
			delete(waiting, descriptor)
			poll.remove(descriptor)
		}
	}
	return heard, nil
}

func (b *bed) closeFlows(numbers []int) {
	for _, number := range numbers {
		if kept := b.flows[number]; kept != nil {
			syscall.Close(kept.descriptor)
			delete(b.flows, number)
		}
	}
}

func addressText(address syscall.Sockaddr) string {
	switch address := address.(type) {
	case *syscall.SockaddrInet4:
		return netip.AddrPortFrom(netip.AddrFrom4(address.Addr), uint16(address.Port)).String()
	case *syscall.SockaddrInet6:
		return netip.AddrPortFrom(netip.AddrFrom16(address.Addr), uint16(address.Port)).String()
	}
	return ""
}
