//go:build linux

// Command bench measures the product against a connector as there are today, side
// by side, and prints a table.
//
// `make bench` runs it. It must print no table unless both sides did the same
// work: it compares the accounts in their sync files after every pair of runs.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/batonhost/baton-host/bench/meter"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	err := run(ctx, os.Args[1:], os.Stdin, os.Stdout, os.Stderr)
	stop()
	if errors.Is(err, flag.ErrHelp) {
		os.Exit(2)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) error {
	if len(args) == 1 && args[0] == meter.ChildCommand {
		return meter.Child(ctx, stdin, stdout)
	}
	o, err := parse(args, stderr)
	if err != nil {
		return err
	}
	rows, err := o.selectedRows()
	if err != nil {
		return err
	}
	b := &bench{options: o, progress: stderr}
	if !o.keep {
		defer func() { _ = os.RemoveAll(b.dir) }()
	}
	if err := b.prepare(rows); err != nil {
		return err
	}
	if o.keep {
		_, _ = fmt.Fprintln(stderr, "the runs are kept in", b.dir)
	}
	machine, err := describeMachine(b.host(), b.baseline())
	if err != nil {
		return err
	}
	var results []*result
	for _, row := range rows {
		r, err := b.measure(ctx, row)
		if err != nil {
			return fmt.Errorf("%s: %w", row.name, err)
		}
		results = append(results, r)
	}
	text := render(o, machine, results)
	if o.write != "" {
		if err := writeInto(o.write, text); err != nil {
			return err
		}
	}
	_, err = io.WriteString(stdout, text)
	return err
}

// options are the flags.
type options struct {
	product, tools string
	only           string
	sizes          string
	quick          bool
	write          string
	repetitions    int
	readAhead      int
	profileOnce    bool
	drop           string
	verbose        bool
	keep           bool
}

func parse(args []string, stderr io.Writer) (*options, error) {
	o := &options{}
	flags := flag.NewFlagSet("bench", flag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.StringVar(&o.product, "product", "bin", "the directory of baton-host, baton-fullstory and baton-scim")
	flags.StringVar(&o.tools, "tools", "build/bench", "the directory of bench-baseline, bench-scim and baton-directory")
	flags.StringVar(&o.only, "only", "", "only the rows of these names, separated by commas: "+strings.Join(names(fullRows()), ", "))
	flags.StringVar(&o.sizes, "rows", "", "other rows instead, separated by commas, such as 2x200 or 8x1000-20ms: apps, accounts of each, time of each answer")
	flags.BoolVar(&o.quick, "quick", false, "smaller rows, fewer repetitions")
	flags.StringVar(&o.write, "write", "", "the document to write the result into, between its markers")
	flags.IntVar(&o.repetitions, "n", 0, "how often to measure each row, instead of the row's own number")
	flags.IntVar(&o.readAhead, "read-ahead", 0, "scim-read-ahead of the product's plugins, instead of their default")
	flags.BoolVar(&o.profileOnce, "profile-once", false, "have the baseline set profile, status and creation time once, with the SDK's newer options")
	flags.StringVar(&o.drop, "drop", "", "have the services hide a user from this side, product or baseline, to see that it is noticed")
	flags.BoolVar(&o.verbose, "v", false, "report what each run took, and what each process had at the peak")
	flags.BoolVar(&o.keep, "keep", false, "keep the directories of the runs, and print where they are")
	if err := flags.Parse(args); err != nil {
		return nil, err
	}
	if flags.NArg() > 0 {
		return nil, fmt.Errorf("%q is no flag", flags.Arg(0))
	}
	if o.write != "" && (o.quick || o.only != "" || o.sizes != "") {
		return nil, errors.New("a result of some or smaller rows is not written into a document")
	}
	for _, directory := range []*string{&o.product, &o.tools} {
		absolute, err := filepath.Abs(*directory)
		if err != nil {
			return nil, err
		}
		*directory = absolute
	}
	return o, nil
}
