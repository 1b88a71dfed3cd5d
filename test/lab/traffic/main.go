// Command traffic is the lab's workload, its prober and its sandbox process in one small static binary.
//
//	traffic serve -name <text> -tcp 8080,5432 -udp 8080   answers with its name, then echoes
//	traffic probe                                          takes orders as JSON lines, see orders.go
//	traffic bed                                            talks and listens in many namespaces, see bed.go
//	traffic pause                                          keeps a pod's namespaces alive
package main

import (
	"fmt"
	"os"
	"os/signal"
	"syscall"
)

func main() {
	command := ""
	if len(os.Args) > 1 {
		command = os.Args[1]
	}
	var err error
	switch command {
	case "serve":
		err = serve(os.Args[2:])
	case "probe":
		err = takeOrders(os.Stdin, os.Stdout)
	case "bed":
		err = runBed(os.Stdin, os.Stdout)
	case "pause":
		pause()
	default:
		err = fmt.Errorf("usage: traffic serve|probe|bed|pause")
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "traffic:", err)
		os.Exit(1)
	}
}

// pause waits for the end and reaps what other containers of the pod leave behind.
func pause() {
	signals := make(chan os.Signal, 16)
	signal.Notify(signals, syscall.SIGINT, syscall.SIGTERM, syscall.SIGCHLD)
	for received := range signals {
		if received != syscall.SIGCHLD {
			return
		}
		for {
			if pid, err := syscall.Wait4(-1, nil, syscall.WNOHANG, nil); pid <= 0 || err != nil {
				break
			}
		}
	}
}
