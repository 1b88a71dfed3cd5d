package main

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"os"
	"syscall"
	"unsafe"
)

const (
	device          = "eth0"
	establishedPort = 1000
	firstPort       = 2000
	// Packets before those that are timed: emptying connection tracking fills the processor's caches with its table.
	warmUp = 128
	// NETLINK_NETFILTER, and the request that deletes every entry.
	netfilter  = 12
	deleteAll  = 1<<8 | 2
	requestAck = syscall.NLM_F_REQUEST | syscall.NLM_F_ACK
)

// route leads from a client's namespace through its node; tracking is the node's connection tracking.
type route struct {
	packets  int
	tracking int
	// Packets to the server.
	sent int
}

func openRoute(n namespaces) (*route, error) {
	if err := enter(n.Client); err != nil {
		return nil, err
	}
	link, err := net.InterfaceByName(device)
	if err != nil {
		return nil, err
	}
	// Protocol 0: it only sends.
	packets, err := syscall.Socket(syscall.AF_PACKET, syscall.SOCK_RAW, 0)
	if err != nil {
		return nil, fmt.Errorf("packet socket: %w", err)
	}
	if err := syscall.Bind(packets, &syscall.SockaddrLinklayer{Ifindex: link.Index}); err != nil {
		return nil, fmt.Errorf("bind: %w", err)
	}
	if err := enter(n.Node); err != nil {
		return nil, err
	}
	tracking, err := syscall.Socket(syscall.AF_NETLINK, syscall.SOCK_RAW, netfilter)
	if err != nil {
		return nil, fmt.Errorf("netlink socket: %w", err)
	}
	return &route{packets: packets, tracking: tracking}, nil
}

func enter(namespace string) error {
	file, err := os.Open("/var/run/netns/" + namespace)
	if err != nil {
		return err
	}
	defer file.Close()
	if _, _, errno := syscall.RawSyscall(sysSetns, file.Fd(), syscall.CLONE_NEWNET, 0); errno != 0 {
		return fmt.Errorf("setns %s: %w", namespace, errno)
	}
	return nil
}

// established makes a flow that connection tracking has seen both ways. The reply takes the same way in: the node
// sends it back to where it came from, and connection tracking does not look at interfaces.
func (r *route) established(o *order) (*batch, error) {
	if err := r.flush(); err != nil {
		return nil, err
	}
	flow := newBatch(o.Local, o.Server, establishedPort, o.Port)
	reply := newBatch(o.Server, o.Local, o.Port, establishedPort)
	if err := errors.Join(r.again(flow, 1), r.again(reply, 1)); err != nil {
		return nil, err
	}
	r.sent-- // The reply.
	return flow, r.again(flow, warmUp)
}

// strangers makes packets that connection tracking has not seen yet, and sends the first of them.
func (r *route) strangers(from string, o *order) (*batch, error) {
	if err := r.flush(); err != nil {
		return nil, err
	}
	b := newBatch(from, o.Server, firstPort, o.Port)
	return b, r.fresh(b, warmUp)
}

// again sends packets of one connection.
func (r *route) again(b *batch, count int) error {
	return inBatches(count, func(now int) error { return r.send(b, now) })
}

// fresh sends packets that each are the first of a connection.
func (r *route) fresh(b *batch, count int) error {
	return inBatches(count, func(now int) error {
		b.freshPorts(now)
		return r.send(b, now)
	})
}

func inBatches(count int, send func(int) error) error {
	for ; count > 0; count -= batchSize {
		if err := send(min(count, batchSize)); err != nil {
			return err
		}
	}
	return nil
}

func (r *route) send(b *batch, count int) error {
	sent, _, errno := syscall.RawSyscall6(sysSendmmsg, uintptr(r.packets),
		uintptr(unsafe.Pointer(&b.messages[0])), uintptr(count), 0, 0, 0)
	if errno != 0 {
		return fmt.Errorf("sendmmsg: %w", errno)
	}
	if int(sent) != count {
		return fmt.Errorf("sendmmsg sent %d of %d", sent, count)
	}
	r.sent += count
	return nil
}

// flush deletes every entry of the node's connection tracking.
func (r *route) flush() error {
	// struct nlmsghdr, then struct nfgenmsg.
	request := make([]byte, 20)
	binary.NativeEndian.PutUint32(request, uint32(len(request)))
	binary.NativeEndian.PutUint16(request[4:], deleteAll)
	binary.NativeEndian.PutUint16(request[6:], requestAck)
	if err := syscall.Sendto(r.tracking, request, 0, &syscall.SockaddrNetlink{Family: syscall.AF_NETLINK}); err != nil {
		return fmt.Errorf("flush: %w", err)
	}
	reply := make([]byte, 4096)
	n, _, err := syscall.Recvfrom(r.tracking, reply, 0)
	if err != nil {
		return fmt.Errorf("flush: %w", err)
	}
	if n < 20 || binary.NativeEndian.Uint16(reply[4:]) != syscall.NLMSG_ERROR {
		return errors.New("flush: no acknowledgement")
	}
	if code := int32(binary.NativeEndian.Uint32(reply[16:])); code != 0 {
		return fmt.Errorf("flush: %w", syscall.Errno(-code))
	}
	return nil
}
