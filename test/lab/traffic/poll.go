package main

import (
	"syscall"
	"time"
)

// poll waits for many sockets at once.
type poll struct {
	descriptor int
	events     []syscall.EpollEvent
}

func newPoll() (*poll, error) {
	descriptor, err := syscall.EpollCreate1(syscall.EPOLL_CLOEXEC)
	return &poll{descriptor, make([]syscall.EpollEvent, 1024)}, err
}

func (p *poll) add(descriptor int, events uint32) error {
	event := syscall.EpollEvent{Events: events, Fd: int32(descriptor)}
	return syscall.EpollCtl(p.descriptor, syscall.EPOLL_CTL_ADD, descriptor, &event)
}

func (p *poll) remove(descriptor int) error {
	return syscall.EpollCtl(p.descriptor, syscall.EPOLL_CTL_DEL, descriptor, nil)
}

// wait gives the sockets that have something to tell; none when the time is over.
func (p *poll) wait(atMost time.Duration) ([]int, error) {
	milliseconds := max(0, int((atMost+time.Millisecond-1)/time.Millisecond))
	count, err := syscall.EpollWait(p.descriptor, p.events, milliseconds)
	if err == syscall.EINTR {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	ready := make([]int, count)
	for index := range ready {
		ready[index] = int(p.events[index].Fd)
	}
	return ready, nil
}

func (p *poll) close() {
	syscall.Close(p.descriptor)
}

// drain reads what has come in so far, and tells how much that was.
func drain(descriptor int) int {
	buffer := make([]byte, 1<<12)
	for total := 0; ; {
		size, _, err := syscall.Recvfrom(descriptor, buffer, 0)
		if err != nil || size <= 0 {
			return total
		}
		total += size
	}
}
