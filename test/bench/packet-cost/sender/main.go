// Times packets on their way through the forwarding of several nodes, which take turns. A veth hands a packet to the
// other side's stack within the sender's own system call, so the time of the call is that of the whole path.
package main

import (
	"encoding/json"
	"fmt"
	"os"
	"runtime"
	"runtime/debug"
	"syscall"
	"time"
	"unsafe"
)

// order is read from stdin; times is the answer on stdout.
type order struct {
	Nodes  []namespaces `json:"nodes"`
	Local  string       `json:"local"`  // isolated pod that sends
	Remote string       `json:"remote"` // sender elsewhere
	Server string       `json:"server"` // isolated pod that receives
	Denied string       `json:"denied"` // sender that no policy allows
	Port   uint16       `json:"port"`
	Rounds int          `json:"rounds"` // bursts of each kind for each node
	Burst  int          `json:"burst"`  // packets that are timed together
}

type namespaces struct {
	Client string `json:"client"`
	Node   string `json:"node"`
}

// times holds nanoseconds a packet, one figure a burst, for one node.
type times struct {
	Established []float64 `json:"established"`
	NewBoth     []float64 `json:"newBoth"`
	NewIn       []float64 `json:"newIn"`
	// Packets from allowed senders; one batch from the denied one comes on top.
	Sent int `json:"sent"`
}

func main() {
	// Sockets belong to the namespace that the thread was in when it made them.
	runtime.LockOSThread()
	debug.SetGCPercent(-1)
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run() error {
	var o order
	if err := json.NewDecoder(os.Stdin).Decode(&o); err != nil {
		return fmt.Errorf("order: %w", err)
	}
	routes := make([]*route, len(o.Nodes))
	for i, node := range o.Nodes {
		made, err := openRoute(node)
		if err != nil {
			return fmt.Errorf("%s: %w", node.Client, err)
		}
		routes[i] = made
	}
	answer := make([]times, len(routes))
	for _, r := range routes {
		if err := r.fresh(newBatch(o.Denied, o.Server, firstPort, o.Port), batchSize); err != nil {
			return err
		}
		r.sent = 0
	}
	for round := range o.Rounds {
		for turn := range routes {
			// Everyone is first equally often, and behind one neighbour as often as behind the other.
			i := (round + turn) % len(routes)
			if round%2 == 1 {
				i = len(routes) - 1 - i
			}
			if err := measure(&o, routes[i], &answer[i]); err != nil {
				return fmt.Errorf("%s: %w", o.Nodes[i].Client, err)
			}
		}
	}
	for i, r := range routes {
		answer[i].Sent = r.sent
	}
	return json.NewEncoder(os.Stdout).Encode(answer)
}

func measure(o *order, r *route, t *times) error {
	established, err := timed(o.Burst, func() (*batch, error) { return r.established(o) }, r.again)
	if err != nil {
		return err
	}
	both, err := timed(o.Burst, func() (*batch, error) { return r.strangers(o.Local, o) }, r.fresh)
	if err != nil {
		return err
	}
	in, err := timed(o.Burst, func() (*batch, error) { return r.strangers(o.Remote, o) }, r.fresh)
	if err != nil {
		return err
	}
	t.Established = append(t.Established, established)
	t.NewBoth = append(t.NewBoth, both)
	t.NewIn = append(t.NewIn, in)
	return nil
}

// timed returns what each packet of a burst took; what prepares it is not counted.
func timed(burst int, prepare func() (*batch, error), send func(*batch, int) error) (float64, error) {
	b, err := prepare()
	if err != nil {
		return 0, err
	}
	schedule(realTime)
	start := time.Now()
	err = send(b, burst)
	took := time.Since(start)
	schedule(ordinary)
	return float64(took.Nanoseconds()) / float64(burst), err
}

// SCHED_OTHER and SCHED_FIFO.
const (
	ordinary = 0
	realTime = 1
)

// schedule lets others wait for a burst, a few milliseconds. Where that is not allowed the figures are less calm.
func schedule(policy int) {
	// The priority within the policy: 0 or 1.
	priority := int32(policy)
	_, _, _ = syscall.RawSyscall(syscall.SYS_SCHED_SETSCHEDULER, 0, uintptr(policy), uintptr(unsafe.Pointer(&priority)))
}
