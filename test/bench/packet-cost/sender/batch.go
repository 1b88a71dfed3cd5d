package main

import (
	"encoding/binary"
	"net/netip"
	"syscall"
	"unsafe"
)

const (
	batchSize  = 64
	frameSize  = 60
	ipOffset   = 14
	udpOffset  = ipOffset + 20
	packetSize = frameSize - ipOffset
)

// mmsghdr is what sendmmsg takes.
type mmsghdr struct {
	header syscall.Msghdr
	sent   uint32
	_      [4]byte
}

// batch is UDP packets in Ethernet frames, handed to the kernel in one system call.
type batch struct {
	frames   [batchSize][frameSize]byte
	vectors  [batchSize]syscall.Iovec
	messages [batchSize]mmsghdr
	port     uint16
}

func newBatch(from, to string, fromPort, toPort uint16) *batch {
	b := &batch{port: fromPort}
	for i := range b.frames {
		writeFrame(b.frames[i][:], netip.MustParseAddr(from), netip.MustParseAddr(to), fromPort, toPort)
		b.vectors[i].Base = &b.frames[i][0]
		b.vectors[i].SetLen(frameSize)
		b.messages[i].header.Iov = &b.vectors[i]
		b.messages[i].header.Iovlen = 1
	}
	return b
}

// freshPorts gives the next packets source ports that none had before.
func (b *batch) freshPorts(count int) {
	for i := range count {
		binary.BigEndian.PutUint16(b.frames[i][udpOffset:], b.port)
		b.port++
	}
}

func writeFrame(frame []byte, from, to netip.Addr, fromPort, toPort uint16) {
	copy(frame, nodeHardware[:])
	copy(frame[6:], clientHardware[:])
	binary.BigEndian.PutUint16(frame[12:], 0x0800)
	ip := frame[ipOffset:udpOffset]
	ip[0] = 0x45
	binary.BigEndian.PutUint16(ip[2:], packetSize)
	ip[8] = 64
	ip[9] = syscall.IPPROTO_UDP
	source, destination := from.As4(), to.As4()
	copy(ip[12:], source[:])
	copy(ip[16:], destination[:])
	binary.BigEndian.PutUint16(ip[10:], checksum(ip))
	udp := frame[udpOffset:]
	binary.BigEndian.PutUint16(udp, fromPort)
	binary.BigEndian.PutUint16(udp[2:], toPort)
	// Its checksum stays 0 = not used.
	binary.BigEndian.PutUint16(udp[4:], packetSize-20)
}

func checksum(header []byte) uint16 {
	var sum uint32
	for i := 0; i < len(header); i += 2 {
		sum += uint32(binary.BigEndian.Uint16(header[i:]))
	}
	for sum > 0xffff {
		sum = sum&0xffff + sum>>16
	}
	return ^uint16(sum)
}

// The bench gives the two ends of the client's veth these addresses, so nobody has to ask for them.
var (
	nodeHardware   = [6]byte{2, 0, 0, 0, 0, 1}
	clientHardware = [6]byte{2, 0, 0, 0, 0, 2}
)

// The Go runtime must not move what the kernel is told to read: it never does, and this fails to compile if the
// layout is not the kernel's.
var _ [64]byte = [unsafe.Sizeof(mmsghdr{})]byte{}
