package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"sync"
	"syscall"
	"time"
	"unsafe"
)

// Order is one line of input. Do is probe, resolve, watch, unwatch, hold, look or release; Handle names a watch or a hold.
type Order struct {
	ID     int    `json:"id"`
	Do     string `json:"do"`
	Handle int    `json:"handle"`
	Target
	Name       string   `json:"name"`
	Targets    []Target `json:"targets"`
	PerSecond  int      `json:"perSecond"`
	IntervalMs int      `json:"intervalMs"`
}

// Answer is one line of output.
type Answer struct {
	ID      int    `json:"id"`
	Outcome any    `json:"outcome,omitempty"`
	Failure string `json:"failure,omitempty"`
}

type prober struct {
	mutex   sync.Mutex
	watches map[int]*watch
	holds   map[int]*hold
}

// answers writes a line for each order that is done, whoever comes first.
type answers struct {
	mutex   sync.Mutex
	encoder *json.Encoder
}

func newAnswers(output io.Writer) *answers {
	return &answers{encoder: json.NewEncoder(output)}
}

func (a *answers) give(id int, outcome any, err error) {
	answer := Answer{ID: id}
	if err != nil {
		answer.Failure = err.Error()
	} else {
		answer.Outcome = outcome
	}
	a.mutex.Lock()
	defer a.mutex.Unlock()
	a.encoder.Encode(answer)
}

// takeOrders answers each line of input, in any order, until the input ends.
func takeOrders(input io.Reader, output io.Writer) error {
	p := &prober{watches: map[int]*watch{}, holds: map[int]*hold{}}
	answers := newAnswers(output)
	lines := bufio.NewScanner(input)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var order Order
		if err := json.Unmarshal(lines.Bytes(), &order); err != nil {
			return err
		}
		go func() {
			outcome, err := p.obey(order)
			answers.give(order.ID, outcome, err)
		}()
	}
	return lines.Err()
}

func (p *prober) obey(order Order) (any, error) {
	switch order.Do {
	case "probe":
		return probe(order.Target), nil
	case "resolve":
		return resolve(order.Target, order.Name)
	case "watch":
		if order.PerSecond < 1 {
			return nil, fmt.Errorf("perSecond must be at least 1")
		}
		p.mutex.Lock()
		defer p.mutex.Unlock()
		p.watches[order.Handle] = startWatch(order.Targets, order.PerSecond)
		return true, nil
	case "unwatch":
		w, err := take(&p.mutex, p.watches, order.Handle)
		if err != nil {
			return nil, err
		}
		samples, planned := w.end()
		return map[string]any{"samples": samples, "planned": planned}, nil
	case "hold":
		h, err := startHold(order.Target, time.Duration(order.IntervalMs)*time.Millisecond)
		if err != nil {
			return nil, err
		}
		p.mutex.Lock()
		defer p.mutex.Unlock()
		p.holds[order.Handle] = h
		return true, nil
	case "look":
		p.mutex.Lock()
		h := p.holds[order.Handle]
		p.mutex.Unlock()
		if h == nil {
			return nil, fmt.Errorf("no handle %d", order.Handle)
		}
		return h.look(), nil
	case "release":
		h, err := take(&p.mutex, p.holds, order.Handle)
		if err != nil {
			return nil, err
		}
		life := h.look()
		h.end()
		return life, nil
	}
	return nil, fmt.Errorf("unknown order %q", order.Do)
}

func take[Held any](mutex *sync.Mutex, held map[int]*Held, handle int) (*Held, error) {
	mutex.Lock()
	defer mutex.Unlock()
	value := held[handle]
	if value == nil {
		return nil, fmt.Errorf("no handle %d", handle)
	}
	delete(held, handle)
	return value, nil
}

// monotonicMs is CLOCK_MONOTONIC, which every process of the machine shares (Node: process.hrtime).
func monotonicMs() float64 {
	const clockMonotonic = 1
	var now syscall.Timespec
	syscall.Syscall(syscall.SYS_CLOCK_GETTIME, clockMonotonic, uintptr(unsafe.Pointer(&now)), 0)
	return float64(now.Sec)*1000 + float64(now.Nsec)/1e6
}
