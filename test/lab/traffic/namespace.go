package main

import (
	"fmt"
	"os"
	"runtime"
	"syscall"
)

// setns has a number but no name in the syscall package of some architectures.
var setnsNumber = map[string]uintptr{"amd64": 308, "arm64": 268}

// namespace is a network namespace with a thread of its own in it. A socket belongs to the namespace of the thread that
// made it, whoever uses it afterwards.
type namespace struct {
	tasks chan func()
}

func enterNamespace(path string) (*namespace, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	n := &namespace{tasks: make(chan func())}
	entered := make(chan error)
	go func() {
		// Never unlocked: the thread would go on elsewhere, inside the namespace.
		runtime.LockOSThread()
		if _, _, number := syscall.RawSyscall(
			setnsNumber[runtime.GOARCH], file.Fd(), syscall.CLONE_NEWNET, 0,
		); number != 0 {
			entered <- fmt.Errorf("enter %s: %w", path, number)
			return
		}
		entered <- nil
		for task := range n.tasks {
			task()
		}
	}()
	return n, <-entered
}

// do runs a task inside the namespace and waits for it.
func (n *namespace) do(task func() error) error {
	done := make(chan error)
	n.tasks <- func() { done <- task() }
	return <-done
}
