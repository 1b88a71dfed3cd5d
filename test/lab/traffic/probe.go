package main

import (
	"context"
	"errors"
	"net"
	"strconv"
	"syscall"
	"time"
)

// Target is one thing to talk to.
type Target struct {
	To        string `json:"to"`
	Port      int    `json:"port"`
	Protocol  string `json:"protocol"`
	TimeoutMs int    `json:"timeoutMs"`
	// Silent servers do not speak first: a connection counts as open.
	Silent bool `json:"silent"`
}

// Verdict of one probe: open, refused, dropped (no answer in time) or error.
type Verdict struct {
	Result    string  `json:"result"`
	LatencyMs float64 `json:"latencyMs"`
	// Banner is what the server called itself.
	Banner string `json:"banner,omitempty"`
	Error  string `json:"error,omitempty"`
}

// probe opens one new flow: a TCP connection up to its greeting, or a UDP datagram up to its answer.
func probe(target Target) Verdict {
	timeout := time.Duration(target.TimeoutMs) * time.Millisecond
	started := time.Now()
	banner, err := exchange(target, timeout)
	verdict := Verdict{Result: "open", LatencyMs: float64(time.Since(started).Microseconds()) / 1000, Banner: banner}
	if err != nil {
		verdict.Result, verdict.Error = classify(err), err.Error()
	}
	return verdict
}

func exchange(target Target, timeout time.Duration) (string, error) {
	address := net.JoinHostPort(target.To, strconv.Itoa(target.Port))
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	connection, err := (&net.Dialer{}).DialContext(ctx, target.Protocol, address)
	if err != nil {
		return "", err
	}
	defer connection.Close()
	deadline, _ := ctx.Deadline()
	connection.SetDeadline(deadline)
	if target.Protocol == "udp" {
		if _, err := connection.Write([]byte("probe")); err != nil {
			return "", err
		}
	} else if tcp, ok := connection.(*net.TCPConn); ok {
		// A reset instead of TIME_WAIT: thousands of probes must not use up the client's ports.
		tcp.SetLinger(0)
		if target.Silent {
			return "", nil
		}
	}
	buffer := make([]byte, 256)
	size, err := connection.Read(buffer)
	for size > 0 && buffer[size-1] == '\n' {
		size--
	}
	return string(buffer[:size]), err
}

// resolve asks one DNS server over one protocol.
func resolve(target Target, name string) ([]string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Duration(target.TimeoutMs)*time.Millisecond)
	defer cancel()
	server := net.JoinHostPort(target.To, strconv.Itoa(target.Port))
	resolver := net.Resolver{PreferGo: true, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, target.Protocol, server)
	}}
	return resolver.LookupHost(ctx, name+".")
}

func classify(err error) string {
	var network net.Error
	switch {
	case errors.Is(err, syscall.ECONNREFUSED), errors.Is(err, syscall.ECONNRESET):
		return "refused"
	case errors.As(err, &network) && network.Timeout(), errors.Is(err, context.DeadlineExceeded):
		return "dropped"
	default:
		return "error"
	}
}
