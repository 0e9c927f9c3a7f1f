package main

import (
	"bufio"
	"bytes"
	"fmt"
	"net"
	"os"
	"strconv"
	"strings"
	"sync/atomic"
	"time"
)

// probing is what a probe's process does: it tells its longest wait for an answer whenever it reads a line.
func probing(addr string) error {
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		return err
	}
	var longest atomic.Int64
	go func() {
		for {
			longest.Store(max(longest.Load(), int64(waited(conn))))
			time.Sleep(100 * time.Microsecond)
		}
	}()
	for lines := bufio.NewScanner(os.Stdin); lines.Scan(); {
		fmt.Println(longest.Swap(0))
	}
	return nil
}

func waited(conn net.Conn) time.Duration {
	var answer [16]byte
	began := time.Now()
	if _, err := conn.Write([]byte("PING\r\n")); err != nil {
		return 0
	}
	for n := 0; !bytes.HasSuffix(answer[:n], []byte("\r\n")); {
		more, err := conn.Read(answer[n:])
		if err != nil {
			return 0
		}
		n += more
	}
	return time.Since(began)
}

// calls is how often a command was called, by what INFO says.
func calls(commandstats, command string) float64 {
	_, rest, _ := strings.Cut(commandstats, "cmdstat_"+command+":calls=")
	number, _, _ := strings.Cut(rest, ",")
	n, _ := strconv.ParseFloat(number, 64)
	return n
}
