//go:build linux

package main

import (
	"bufio"
	"context"
	"crypto/rand"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// services is the process that answers for all apps of a row.
type services struct {
	address, token string
	process        *exec.Cmd
	lifeline       io.Closer
}

func startServices(ctx context.Context, program string, row row, drop string) (*services, error) {
	s := &services{token: "bench-" + rand.Text()}
	groups, members := 0, 0
	if row.access != nil && row.access.scim {
		groups, members = row.access.groups, row.access.members
	}
	s.process = exec.CommandContext(ctx, program, //nolint:gosec // A program of this benchmark.
		"-groups", strconv.Itoa(groups), "-members", strconv.Itoa(members),
		"-apps", strconv.Itoa(row.apps), "-users", strconv.Itoa(row.users), "-latency", row.latency.String(),
		"-cap", strconv.Itoa(pageCap), "-drop", drop)
	s.process.Env = []string{"BENCH_SCIM_TOKEN=" + s.token}
	s.process.Stderr = os.Stderr
	// It is no matter of the terminal: it ends when its input does.
	s.process.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	s.process.WaitDelay = 5 * time.Second
	var err error
	if s.lifeline, err = s.process.StdinPipe(); err != nil {
		return nil, err
	}
	stdout, err := s.process.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := s.process.Start(); err != nil {
		return nil, err
	}
	line, err := bufio.NewReader(stdout).ReadString('\n')
	if err != nil {
		s.stop()
		return nil, fmt.Errorf("the SCIM services did not start: %w", err)
	}
	s.address = strings.TrimSpace(line)
	return s, nil
}

// url is the base URL of an app, for one of the sides.
func (s *services) url(side string, app int) string {
	return fmt.Sprintf("%s/%s/%d/scim/v2", s.address, side, app+1)
}

func (s *services) stop() {
	_ = s.lifeline.Close()
	_ = s.process.Wait()
}
