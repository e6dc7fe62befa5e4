package process

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"regexp"
	"strings"
	"syscall"
	"time"
)

// stopTimeout is how long a server may take to end when asked to.
const stopTimeout = 10 * time.Second

// Server is a started server.
type Server struct {
	Addr string // host:port it said it listens on

	cmd     *exec.Cmd
	cancel  context.CancelFunc
	drained chan struct{}
}

// listening finds the address in what a server prints once it accepts connections.
var listening = regexp.MustCompile(`(?i)\blisten(?:ing)?(?: on|:)? (?:https?://)?([0-9a-zA-Z.\[\]:-]*:\d+)`)

// Start runs a shell command and waits until it prints, on standard output, that it listens and where ("listening on
// 127.0.0.1:3000"). Its standard error goes to stderr. The server is stopped by Stop or when ctx is done.
func Start(ctx context.Context, command string, stderr io.Writer) (*Server, error) {
	ctx, cancel := context.WithCancel(ctx)
	// exec, so that the process measured is the server and not a shell around it.
	cmd := exec.CommandContext(ctx, "sh", "-c", "exec "+command) // the user's own command line
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = stopTimeout
	cmd.Stderr = stderr
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		cancel()
		return nil, fmt.Errorf("starting %q: %w", command, err)
	}
	if err := cmd.Start(); err != nil {
		cancel()
		return nil, fmt.Errorf("starting %q: %w", command, err)
	}
	s := &Server{cmd: cmd, cancel: cancel, drained: make(chan struct{})}
	lines := bufio.NewScanner(stdout)
	for s.Addr == "" && lines.Scan() {
		if m := listening.FindStringSubmatch(lines.Text()); m != nil {
			s.Addr = m[1]
		}
	}
	go func() {
		defer close(s.drained)
		_, _ = io.Copy(io.Discard, stdout) // ends with the process
	}()
	if s.Addr == "" {
		return nil, errors.Join(fmt.Errorf("%q ended without saying that it listens (a line such as \"listening on 127.0.0.1:3000\")", command), s.Stop())
	}
	if strings.HasPrefix(s.Addr, ":") {
		s.Addr = "127.0.0.1" + s.Addr
	}
	return s, nil
}

// PID returns the server's process id.
func (s *Server) PID() int { return s.cmd.Process.Pid }

// Stop ends the server and waits for it.
func (s *Server) Stop() error {
	s.cancel()
	<-s.drained
	err := s.cmd.Wait()
	if exit := (*exec.ExitError)(nil); errors.As(err, &exit) || errors.Is(err, context.Canceled) {
		return nil // it was told to
	}
	if err != nil {
		return fmt.Errorf("stopping the server: %w", err)
	}
	return nil
}
