package meter

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"syscall"
	"time"
)

// Command is one program to run.
type Command struct {
	// Args are the program, by its path, and its arguments.
	Args []string
	// Env is its whole environment.
	Env []string
	// Dir is where it runs. What it writes to stdout and stderr goes to the file
	// output in there.
	Dir string
}

// outputFile is where what a command writes goes, in its directory.
const outputFile = "output"

// Work is what is measured.
type Work struct {
	Commands []Command
	// OneByOne runs a command when the one before has ended, instead of all at
	// once.
	OneByOne bool
	// Limit is how long all of it may take.
	Limit time.Duration
}

// Usage is what the processes of a work took together.
type Usage struct {
	// Wall is the time from the start of the first command to the end of the last.
	Wall time.Duration
	// CPU is the time of all processes in user and in system mode, as the kernel
	// counted it.
	CPU time.Duration
	// Memory is the greatest sum of the proportional set sizes of all processes
	// at one moment, in bytes; see sampler for how often that is looked at.
	Memory int64
	// At is what each process had at that moment, by name and number.
	At map[string]int64
	// Resident is the greatest sum of the resident set sizes, in bytes, which
	// counts what processes share once for each of them.
	Resident int64
	// Own is the greatest sum of what the processes have for themselves, in bytes:
	// without the pages of files, which all have of their programs, and which the
	// system can drop.
	Own int64
	// Looks is how often the processes were looked at, Readings how often their
	// proportional set sizes were read.
	Looks, Readings int
	// Left is how many processes had to be killed when the commands had ended.
	Left int
}

// ChildCommand is the argument that makes the benchmark's program be [Child].
const ChildCommand = "meter"

// Measure runs the work in a separate process, this program with the argument
// ChildCommand, whose descendants are the work and nothing else. The error has
// what a command wrote last, if it failed.
func Measure(ctx context.Context, work Work) (Usage, error) {
	self, err := os.Executable()
	if err != nil {
		return Usage{}, err
	}
	asked, err := json.Marshal(work)
	if err != nil {
		return Usage{}, err
	}
	var answer, complaint bytes.Buffer
	child := exec.CommandContext(ctx, self, ChildCommand) //nolint:gosec // This program itself.
	child.Stdin, child.Stdout, child.Stderr = bytes.NewReader(asked), &answer, &complaint
	// It does not outlive this process, however that ends.
	child.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGTERM}
	// It is asked to end, so that it ends the work first, and made to if it does not.
	child.Cancel = func() error { return child.Process.Signal(syscall.SIGTERM) }
	child.WaitDelay = 2 * graceForTheRest
	if err := child.Run(); err != nil {
		if ctx.Err() != nil {
			return Usage{}, ctx.Err()
		}
		return Usage{}, fmt.Errorf("%w: %s", err, bytes.TrimSpace(complaint.Bytes()))
	}
	var usage Usage
	if err := json.Unmarshal(answer.Bytes(), &usage); err != nil {
		return Usage{}, fmt.Errorf("the measuring process answered with something else: %w", err)
	}
	return usage, nil
}

// Child does the work that it reads from stdin, and writes what it took to
// stdout. It is for a process that does nothing else: it becomes the parent of
// all orphans below it, and waits for every child there is. The end of ctx ends
// the work.
func Child(ctx context.Context, stdin io.Reader, stdout io.Writer) error {
	var work Work
	if err := json.NewDecoder(stdin).Decode(&work); err != nil {
		return err
	}
	if len(work.Commands) == 0 || work.Limit <= 0 {
		return errors.New("there is no command to run, or no time for it")
	}
	usage, err := do(ctx, work)
	if err != nil {
		return err
	}
	return json.NewEncoder(stdout).Encode(usage)
}
