package main

import (
	"bufio"
	"fmt"
	"net"
	"strconv"
	"sync"
	"time"
)

// Sample is one probe of a watch, in the order of the targets: kept small, there are many of them.
type Sample struct {
	Pair      int     `json:"p"`
	SentAtMs  float64 `json:"t"`
	Result    string  `json:"r"`
	LatencyMs float64 `json:"l"`
	Error     string  `json:"e,omitempty"`
}

// watch probes every target at its rate until it is stopped; each probe is a new flow and waits for no other.
type watch struct {
	stop    chan struct{}
	running sync.WaitGroup
	mutex   sync.Mutex
	samples []Sample
	planned int
}

func startWatch(targets []Target, perSecond int) *watch {
	w := &watch{stop: make(chan struct{})}
	for pair, target := range targets {
		w.running.Add(1)
		go w.follow(pair, target, time.Second/time.Duration(perSecond))
	}
	return w
}

func (w *watch) follow(pair int, target Target, interval time.Duration) {
	defer w.running.Done()
	started := time.Now()
	for count := 0; ; count++ {
		// By the plan and not by the last probe: a late one does not delay those after it.
		select {
		case <-w.stop:
			w.mutex.Lock()
			w.planned += int(time.Since(started) / interval)
			w.mutex.Unlock()
			return
		case <-time.After(time.Until(started.Add(time.Duration(count) * interval))):
		}
		w.running.Add(1)
		go func() {
			defer w.running.Done()
			sentAt := monotonicMs()
			verdict := probe(target)
			w.mutex.Lock()
			w.samples = append(w.samples, Sample{pair, sentAt, verdict.Result, verdict.LatencyMs, verdict.Error})
			w.mutex.Unlock()
		}()
	}
}

// end waits for the probes under way.
func (w *watch) end() ([]Sample, int) {
	close(w.stop)
	w.running.Wait()
	return w.samples, w.planned
}

// Life is what became of one long TCP connection.
type Life struct {
	Echoes       int     `json:"echoes"`
	LongestGapMs float64 `json:"longestGapMs"`
	LastEchoMs   float64 `json:"lastEchoAtMs"`
	Open         bool    `json:"open"`
	Error        string  `json:"error,omitempty"`
}

// hold keeps one TCP connection busy: a line every interval, each expected back.
type hold struct {
	connection net.Conn
	done       chan struct{}
	mutex      sync.Mutex
	life       Life
}

func startHold(target Target, interval time.Duration) (*hold, error) {
	address := net.JoinHostPort(target.To, strconv.Itoa(target.Port))
	connection, err := net.DialTimeout("tcp", address, time.Duration(target.TimeoutMs)*time.Millisecond)
	if err != nil {
		return nil, err
	}
	h := &hold{connection: connection, done: make(chan struct{}), life: Life{Open: true, LastEchoMs: monotonicMs()}}
	go h.speak(interval)
	go h.listen()
	return h, nil
}

func (h *hold) speak(interval time.Duration) {
	ticker := time.NewTicker(interval)
	defer ticker.Stop()
	for line := 0; ; line++ {
		select {
		case <-h.done:
			return
		case <-ticker.C:
			if _, err := fmt.Fprintf(h.connection, "line %d\n", line); err != nil {
				return
			}
		}
	}
}

func (h *hold) listen() {
	scanner := bufio.NewScanner(h.connection)
	for scanner.Scan() {
		h.mutex.Lock()
		now := monotonicMs()
		h.life.LongestGapMs = max(h.life.LongestGapMs, now-h.life.LastEchoMs)
		h.life.LastEchoMs = now
		h.life.Echoes++
		h.mutex.Unlock()
	}
	h.mutex.Lock()
	defer h.mutex.Unlock()
	h.life.Open = false
	if err := scanner.Err(); err != nil {
		h.life.Error = err.Error()
	}
}

// look tells how it is now; silence up to now counts as a gap.
func (h *hold) look() Life {
	h.mutex.Lock()
	defer h.mutex.Unlock()
	life := h.life
	life.LongestGapMs = max(life.LongestGapMs, monotonicMs()-life.LastEchoMs)
	return life
}

func (h *hold) end() {
	close(h.done)
	h.connection.Close()
}
