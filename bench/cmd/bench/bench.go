//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/batonhost/baton-host/bench/meter"
	"github.com/batonhost/baton-host/bench/same"
)

// limit is how long one run may take.
const limit = 10 * time.Minute

// bench measures rows.
type bench struct {
	options  *options
	progress io.Writer
	// dir is where everything is written, and goes at the end.
	dir string
}

func (b *bench) installed(program string) string { return filepath.Join(b.dir, "bin", program) }

func (b *bench) host() string     { return b.installed("baton-host") }
func (b *bench) baseline() string { return b.installed("bench-baseline") }
func (b *bench) scim() string     { return b.installed("bench-scim") }

// prepare installs the programs of all sides alike, by copying them: how much of a
// program's file the system maps depends on how the file was written.
func (b *bench) prepare(rows []row) error {
	var err error
	if b.dir, err = os.MkdirTemp("", "baton-host-bench-"); err != nil {
		return err
	}
	if err := os.Mkdir(b.installed(""), 0o700); err != nil {
		return err
	}
	programs := []string{
		filepath.Join(b.options.product, "baton-host"), filepath.Join(b.options.product, "baton-fullstory"),
		filepath.Join(b.options.tools, "bench-baseline"), filepath.Join(b.options.tools, "bench-scim"),
	}
	if slices.ContainsFunc(rows, func(row row) bool { return row.access != nil }) {
		programs = append(programs, filepath.Join(b.options.product, scimProgram), filepath.Join(b.options.tools, directoryProgram))
	}
	for _, program := range programs {
		if _, err := os.Stat(program); err != nil {
			return fmt.Errorf("a program is missing, run make bench: %w", err)
		}
		if err := install(program, b.installed(filepath.Base(program))); err != nil {
			return fmt.Errorf("install what is to be measured: %w", err)
		}
	}
	return nil
}

func install(from, to string) (err error) {
	source, err := os.Open(from)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, source.Close()) }()
	target, err := os.OpenFile(to, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o700) //nolint:gosec // A program.
	if err != nil {
		return err
	}
	_, err = io.Copy(target, source)
	return errors.Join(err, target.Close())
}

// The connectors that both sides read entitlements and grants with.
const (
	scimProgram      = "baton-scim"
	directoryProgram = "baton-directory"
)

// The sides that are measured.
const (
	product  = "baton-host"
	atOnce   = "baseline"
	inOrder  = "baseline, one after another"
	fileName = "bench.c1z"
)

// result is what the sides took, one entry for each repetition.
type result struct {
	row   row
	usage map[string][]meter.Usage
	// fileBytes is the size of the product's sync file.
	fileBytes int64
}

// measure measures a row: in each repetition all sides, in an order that turns
// round every time.
func (b *bench) measure(ctx context.Context, row row) (*result, error) {
	services, err := startServices(ctx, b.scim(), row, b.options.drop)
	if err != nil {
		return nil, err
	}
	defer services.stop()

	sides := []string{atOnce, product, inOrder}
	if !row.sequence {
		sides = sides[:2]
	}
	if row.alone {
		sides = []string{product}
	}
	r := &result{row: row, usage: map[string][]meter.Usage{}}
	for repetition := range row.repetitions {
		if repetition > 0 {
			slices.Reverse(sides)
		}
		if err := b.repeat(ctx, row, services, sides, r); err != nil {
			return nil, err
		}
	}
	return r, nil
}

// repeat runs each side once and compares what they wrote.
func (b *bench) repeat(ctx context.Context, row row, services *services, sides []string, r *result) (err error) {
	dir, err := os.MkdirTemp(b.dir, row.name+"-")
	if err != nil {
		return err
	}
	if !b.options.keep {
		defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	}
	written := map[string][]string{}
	for i, side := range sides {
		sideDir := filepath.Join(dir, fmt.Sprintf("side%d", i))
		work, files, err := b.work(row, side, services, sideDir)
		if err != nil {
			return err
		}
		usage, err := meter.Measure(ctx, work)
		if err != nil {
			return fmt.Errorf("%s failed: %w", side, err)
		}
		r.usage[side] = append(r.usage[side], usage)
		written[side] = files
		b.report(row, side, usage)
	}
	info, err := os.Stat(written[product][0])
	if err != nil {
		return fmt.Errorf("%s wrote no sync file, although it reported success: %w", product, err)
	}
	r.fileBytes = info.Size()
	return b.compare(ctx, row, written, dir)
}

// compare fails unless all sides wrote the same accounts, as many as there are.
func (b *bench) compare(ctx context.Context, row row, written map[string][]string, dir string) error {
	if row.access != nil {
		return b.compareRows(ctx, row, written, dir)
	}
	files, err := same.Files(ctx, slices.Concat(written[product], written[atOnce], written[inOrder]), dir)
	if err != nil {
		return fmt.Errorf("reading what was written: %w", err)
	}
	ours, theirs := files[0], files[1:]
	if got, want := ours.Count(), row.apps*row.users; got != want {
		return fmt.Errorf("%s wrote %d accounts, and the services have %d", product, got, want)
	}
	var types []string
	for i := range row.apps {
		types = append(types, instance(i)+".user")
	}
	for baselines := range slices.Chunk(theirs, row.apps) {
		if err := same.Differ(ours, types, baselines); err != nil {
			return fmt.Errorf("the sync files are not the same: %w", err)
		}
	}
	return nil
}

// compareRows fails unless both sides wrote the same rows of every kind, as many as there
// are.
func (b *bench) compareRows(ctx context.Context, row row, written map[string][]string, dir string) error {
	var namespaces []string
	for i := range row.apps {
		namespaces = append(namespaces, instance(i))
	}
	ours, err := same.RowsOf(ctx, written[product][0], dir, namespaces)
	if err != nil {
		return fmt.Errorf("reading what was written: %w", err)
	}
	for i, app := range ours {
		if got, want := len(app[same.Resources]), row.users+row.access.groups+row.access.roles; got != want {
			return fmt.Errorf("%s wrote %d resources of app %d, which has %d", product, got, i+1, want)
		}
		if got, want := len(app[same.Grants]), row.access.grants(); got != want {
			return fmt.Errorf("%s wrote %d grants of app %d, which has %d", product, got, i+1, want)
		}
		theirs, err := same.RowsOf(ctx, written[atOnce][i], dir, []string{""})
		if err != nil {
			return fmt.Errorf("reading what was written: %w", err)
		}
		if err := same.DifferRows(app, theirs[0]); err != nil {
			return fmt.Errorf("the sync files are not the same: app %d: %w", i+1, err)
		}
	}
	return nil
}

func instance(i int) string { return fmt.Sprintf("app%02d", i+1) }

// work is the commands of a side, and the sync files that they write. Whatever
// they write is below dir.
func (b *bench) work(row row, side string, services *services, dir string) (meter.Work, []string, error) {
	work := meter.Work{Limit: limit, OneByOne: side == inOrder}
	if side == product {
		config := filepath.Join(dir, "baton-host.yaml")
		command, err := command(dir, config, b.hostConfig(row, services), b.host(), "sync", "--config", config, "--output-dir", dir)
		work.Commands = []meter.Command{command}
		return work, []string{filepath.Join(dir, fileName)}, err
	}
	var files []string
	for i := range row.apps {
		own := filepath.Join(dir, instance(i))
		config := filepath.Join(own, "baseline.yaml")
		program := b.baseline()
		text := fmt.Sprintf("scim-base-url: %s\nscim-token: %s\nprofile-once: %t\n", services.url("baseline", i), services.token, b.options.profileOnce)
		if row.access != nil {
			var settings []string
			program, settings = b.connector(row, services, "baseline", i)
			text = strings.Join(settings, "\n") + "\n"
		}
		file := filepath.Join(own, fileName)
		command, err := command(own, config, text, program, "--file", file)
		if err != nil {
			return work, nil, err
		}
		command.Env = append(command.Env, "BATON_CONFIG_PATH="+config)
		work.Commands = append(work.Commands, command)
		files = append(files, file)
	}
	return work, files, nil
}

// connector is the connector that both sides read a row with, and its settings for an app, as
// lines of YAML.
func (b *bench) connector(row row, services *services, side string, app int) (program string, settings []string) {
	a := row.access
	if a.scim {
		return b.installed(scimProgram), []string{
			"scim-base-url: " + services.url(side, app), "scim-token: " + services.token, "scim-groups: true",
		}
	}
	for _, setting := range []struct {
		name  string
		value int
	}{{"users", row.users}, {"groups", a.groups}, {"members", a.members}, {"tower", a.tower}, {"roles", a.roles}, {"holders", a.holders}} {
		settings = append(settings, fmt.Sprintf("%s: %d", setting.name, setting.value))
	}
	return b.installed(directoryProgram), settings
}

func (b *bench) hostConfig(row row, services *services) string {
	var text strings.Builder
	var all []string
	fmt.Fprintf(&text, "plugin-dirs: [%q]\nplugins:\n", b.installed(""))
	for i := range row.apps {
		if row.access != nil {
			program, settings := b.connector(row, services, "product", i)
			fmt.Fprintf(&text, "  %s:\n    command: [%q]\n    config:\n      %s\n", instance(i), program, strings.Join(settings, "\n      "))
			all = append(all, instance(i))
			continue
		}
		fmt.Fprintf(&text, "  %s:\n    app: fullstory\n    config:\n      scim-base-url: %s\n      scim-token: %s\n",
			instance(i), services.url("product", i), services.token)
		if b.options.readAhead > 0 {
			fmt.Fprintf(&text, "      scim-read-ahead: %d\n", b.options.readAhead)
		}
		all = append(all, instance(i))
	}
	fmt.Fprintf(&text, "uploads:\n  bench:\n    plugins: [%s]\n", strings.Join(all, ", "))
	return text.String()
}

// command runs a program in a separate directory, with a configuration file that
// only its owner can read.
func command(dir, configPath, config string, args ...string) (meter.Command, error) {
	temporary := filepath.Join(dir, "tmp")
	if err := os.MkdirAll(temporary, 0o700); err != nil {
		return meter.Command{}, err
	}
	if err := os.WriteFile(configPath, []byte(config), 0o600); err != nil {
		return meter.Command{}, err
	}
	return meter.Command{
		Args: args,
		Dir:  dir,
		Env:  []string{"PATH=" + os.Getenv("PATH"), "HOME=" + dir, "TMPDIR=" + temporary},
	}, nil
}

// report prints what a run took.
func (b *bench) report(row row, side string, usage meter.Usage) {
	_, _ = fmt.Fprintf(b.progress, "%-14s %-28s %6.2f s wall %6.2f s CPU %6d MiB\n", row.name, side,
		usage.Wall.Seconds(), usage.CPU.Seconds(), usage.Memory>>20)
	if !b.options.verbose {
		return
	}
	for _, process := range slices.Sorted(maps.Keys(usage.At)) {
		_, _ = fmt.Fprintf(b.progress, "    %-26s %6.1f MiB at the peak\n", process, float64(usage.At[process])/(1<<20))
	}
	_, _ = fmt.Fprintf(b.progress, "    %.0f MiB resident; looked %d times, read %d times; %d processes left behind\n", float64(usage.Resident)/(1<<20), usage.Looks, usage.Readings, usage.Left)
}
