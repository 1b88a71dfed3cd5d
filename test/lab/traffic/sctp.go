package main

import (
	"encoding/binary"
	"hash/crc32"
	"net/netip"
	"sync/atomic"
	"syscall"
)

const (
	sctpProtocol   = 132
	sctpHeaderSize = 12
	sctpInitSize   = 20
)

// Tells the INITs of one batch from those of an earlier one that arrive late.
var sctpBatch atomic.Uint32

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// sctpReceivers see every SCTP packet that arrives in the namespace of this thread.
func sctpReceivers() ([]int, error) {
	var receivers []int
	for _, family := range []int{syscall.AF_INET, syscall.AF_INET6} {
		receiver, err := syscall.Socket(family, syscall.SOCK_RAW|syscall.SOCK_NONBLOCK|syscall.SOCK_CLOEXEC, sctpProtocol)
		if err != nil {
			return nil, err
		}
		receivers = append(receivers, receiver)
	}
	return receivers, nil
}

// sctpTag names the probe in its packet.
func sctpTag(index int) uint32 {
	return sctpBatch.Load()<<16 | uint32(index)&0xffff
}

// sendInit sends the first packet of an association, from a port that follows from the index.
func sendInit(to netip.Addr, port int, index int) error {
	family := syscall.AF_INET
	if to.Is6() {
		family = syscall.AF_INET6
	}
	sender, err := syscall.Socket(family, syscall.SOCK_RAW|syscall.SOCK_CLOEXEC, sctpProtocol)
	if err != nil {
		return err
	}
	defer syscall.Close(sender)
	packet := make([]byte, sctpHeaderSize+sctpInitSize)
	tag := sctpTag(index)
	binary.BigEndian.PutUint16(packet[0:], uint16(32768+(sctpBatch.Load()*1009+uint32(index))%16384))
	binary.BigEndian.PutUint16(packet[2:], uint16(port))
	chunk := packet[sctpHeaderSize:]
	chunk[0] = 1
	binary.BigEndian.PutUint16(chunk[2:], sctpInitSize)
	binary.BigEndian.PutUint32(chunk[4:], tag)
	binary.BigEndian.PutUint32(chunk[8:], 1<<16)
	binary.BigEndian.PutUint16(chunk[12:], 1)
	binary.BigEndian.PutUint16(chunk[14:], 1)
	// Connection tracking takes a packet with a wrong sum for INVALID.
	binary.LittleEndian.PutUint32(packet[8:], crc32.Checksum(packet, castagnoli))
	return syscall.Sendto(sender, packet, 0, socketAddress(to, 0))
}

// sctpArrivals are the tags of the INITs that have come to a receiver.
func sctpArrivals(receiver int) []uint32 {
	var tags []uint32
	buffer := make([]byte, 1<<12)
	for {
		size, _, err := syscall.Recvfrom(receiver, buffer, 0)
		if err != nil || size <= 0 {
			return tags
		}
		packet := buffer[:size]
		// IPv4 raw sockets see the header, IPv6 ones do not; our source ports do not look like one.
		if packet[0]>>4 == 4 {
			packet = packet[int(packet[0]&15)*4:]
		}
		if len(packet) >= sctpHeaderSize+sctpInitSize && packet[sctpHeaderSize] == 1 {
			tags = append(tags, binary.BigEndian.Uint32(packet[sctpHeaderSize+4:]))
		}
	}
}
