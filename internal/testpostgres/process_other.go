//go:build !linux

package testpostgres

import (
	"errors"
	"os"
	"os/exec"
)

// These tests find the server's processes by Linux' means, so none of them gets here.
type account struct{}

func findAccount() (*account, error) { return nil, errors.ErrUnsupported }
func (a *account) run(*exec.Cmd)     {}
func (a *account) own(string) error  { return errors.ErrUnsupported }

var crash, orderly = os.Kill, os.Interrupt

func pause(*os.Process) error  { return errors.ErrUnsupported }
func resume(*os.Process) error { return errors.ErrUnsupported }
