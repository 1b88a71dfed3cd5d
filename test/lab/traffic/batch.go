package main

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"sync"
	"syscall"
	"time"
)

// attempt is one probe under way.
type attempt struct {
	index      int
	descriptor int
	protocol   string
}

// probe sends all probes at once. The answer has a result for each: open, refused, dropped (no answer until nothing at
// all has come for a while), or "error: " and the reason.
func (b *bed) probe(probes []BedProbe, quiet time.Duration) ([]string, error) {
	poll, err := newPoll()
	if err != nil {
		return nil, err
	}
	defer poll.close()
	results := make([]string, len(probes))
	sctpBatch.Add(1)
	for _, member := range b.members {
		for _, receiver := range member.sctp {
			drain(receiver)
			poll.add(receiver, syscall.EPOLLIN)
		}
	}
	tags := map[uint32]int{}
	for index, probe := range probes {
		if probe.Protocol == "sctp" {
			tags[sctpTag(index)] = index
		}
	}
	attempts, err := b.begin(probes, results)
	if err != nil {
		return nil, err
	}
	waiting := map[int]attempt{}
	for _, attempt := range attempts {
		defer syscall.Close(attempt.descriptor)
		waiting[attempt.descriptor] = attempt
		events := uint32(syscall.EPOLLIN)
		if attempt.protocol == "tcp" {
			events = syscall.EPOLLOUT
		}
		poll.add(attempt.descriptor, events)
	}
	open := len(tags)
	for deadline := time.Now().Add(quiet); len(waiting)+open > 0; {
		ready, err := poll.wait(time.Until(deadline))
		if err != nil {
			return nil, err
		}
		if len(ready) == 0 && time.Now().After(deadline) {
			break
		}
		if len(ready) > 0 {
			// A busy machine is slow with all answers: as long as some come, others may.
			deadline = time.Now().Add(quiet)
		}
		for _, descriptor := range ready {
			if attempt, ok := waiting[descriptor]; ok {
				results[attempt.index] = outcomeOf(descriptor)
				delete(waiting, descriptor)
				poll.remove(descriptor)
				continue
			}
			for _, tag := range sctpArrivals(descriptor) {
				if index, ok := tags[tag]; ok && results[index] == "" {
					results[index] = "open"
					open--
				}
			}
		}
	}
	for index, result := range results {
		if result == "" {
			results[index] = "dropped"
		}
	}
	return results, nil
}

// begin starts the probes, each in its host's namespace, all hosts at the same time.
func (b *bed) begin(probes []BedProbe, results []string) ([]attempt, error) {
	byHost := map[string][]int{}
	for index, probe := range probes {
		if b.members[probe.From] == nil {
			return nil, fmt.Errorf("no host %q", probe.From)
		}
		byHost[probe.From] = append(byHost[probe.From], index)
	}
	var mutex sync.Mutex
	var attempts []attempt
	var running sync.WaitGroup
	for host, indexes := range byHost {
		running.Add(1)
		go func() {
			defer running.Done()
			b.members[host].do(func() error {
				for _, index := range indexes {
					descriptor, err := start(probes[index], index)
					mutex.Lock()
					if err != nil {
						results[index] = outcomeOfError(err)
					} else if descriptor >= 0 {
						attempts = append(attempts, attempt{index, descriptor, probes[index].Protocol})
					}
					mutex.Unlock()
				}
				return nil
			})
		}()
	}
	running.Wait()
	return attempts, nil
}

// start sends the first packet. SCTP needs no socket afterwards: -1.
func start(probe BedProbe, index int) (int, error) {
	to, err := netip.ParseAddr(probe.To)
	if err != nil {
		return -1, err
	}
	if probe.Protocol == "sctp" {
		return -1, sendInit(to, probe.Port, index)
	}
	descriptor, err := connectTo(probe.Protocol, to, probe.Port)
	if err != nil {
		return -1, err
	}
	var packet []byte
	switch probe.Protocol {
	case "udp":
		packet = []byte("probe")
	case "icmp":
		packet = echoRequest(to, index)
	default:
		return descriptor, nil
	}
	if err := syscall.Sendto(descriptor, packet, 0, nil); err != nil {
		syscall.Close(descriptor)
		return -1, err
	}
	return descriptor, nil
}

// connectTo makes a socket that waits for nothing, in the namespace of this thread.
func connectTo(protocol string, to netip.Addr, port int) (int, error) {
	family, kind, number := syscall.AF_INET, syscall.SOCK_DGRAM, 0
	if to.Is6() {
		family = syscall.AF_INET6
	}
	switch {
	case protocol == "tcp":
		kind = syscall.SOCK_STREAM
	case protocol == "icmp" && to.Is6():
		number, port = syscall.IPPROTO_ICMPV6, 0
	case protocol == "icmp":
		number, port = syscall.IPPROTO_ICMP, 0
	case protocol != "udp":
		return -1, fmt.Errorf("no protocol %q", protocol)
	}
	descriptor, err := syscall.Socket(family, kind|syscall.SOCK_NONBLOCK|syscall.SOCK_CLOEXEC, number)
	if err != nil {
		return -1, err
	}
	if protocol == "tcp" {
		// A reset instead of TIME_WAIT: thousands of probes must not use up the client's ports.
		linger := syscall.Linger{Onoff: 1}
		syscall.SetsockoptLinger(descriptor, syscall.SOL_SOCKET, syscall.SO_LINGER, &linger)
	}
	err = syscall.Connect(descriptor, socketAddress(to, port))
	if err != nil && err != syscall.EINPROGRESS {
		syscall.Close(descriptor)
		return -1, err
	}
	return descriptor, nil
}

func socketAddress(to netip.Addr, port int) syscall.Sockaddr {
	if to.Is6() {
		return &syscall.SockaddrInet6{Addr: to.As16(), Port: port}
	}
	return &syscall.SockaddrInet4{Addr: to.As4(), Port: port}
}

// echoRequest leaves checksum and identifier to the kernel, which knows them for such sockets.
func echoRequest(to netip.Addr, index int) []byte {
	packet := make([]byte, 16)
	packet[0] = 8
	if to.Is6() {
		packet[0] = 128
	}
	binary.BigEndian.PutUint16(packet[6:], uint16(index))
	return packet
}

func outcomeOf(descriptor int) string {
	number, err := syscall.GetsockoptInt(descriptor, syscall.SOL_SOCKET, syscall.SO_ERROR)
	if err == nil && number == 0 {
		return "open"
	}
	if err == nil {
		err = syscall.Errno(number)
	}
	return outcomeOfError(err)
}

func outcomeOfError(err error) string {
	if err == syscall.ECONNREFUSED || err == syscall.ECONNRESET {
		return "refused"
	}
	return "error: " + err.Error()
}
