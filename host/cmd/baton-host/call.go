package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"
	"google.golang.org/protobuf/proto"

	"github.com/batonhost/baton-host/host"
	"github.com/batonhost/baton-host/host/internal/call"
	"github.com/batonhost/baton-host/host/internal/errtext"
	"github.com/batonhost/baton-host/host/internal/hostlog"
	"github.com/batonhost/baton-host/host/internal/terminal"
	"github.com/batonhost/baton-host/plugin"
	pluginv1 "github.com/batonhost/baton-host/proto/baton/plugin/v1"
)

// callOptions are the flags of `baton-host call`.
type callOptions struct {
	root         *rootOptions
	configFile   string
	unlocked     bool
	provisioning bool
}

func newCallCommand(root *rootOptions) *cobra.Command {
	options := &callOptions{root: root}
	cmd := &cobra.Command{
		Use:   "call PLUGIN [METHOD [REQUEST]]",
		Short: "Call one method of a plugin by hand",
		Long: `Start a plugin, configure it, call one method of it, show the answer and stop it.

PLUGIN is the name of a plugin in the configuration file, the name of an app or the
path of a plugin binary. One that is not in the file is configured by BATON_*
variables. METHOD is Service/Method, or Method alone where one service has it;
without METHOD the methods are listed. REQUEST is JSON as protobuf defines it, - for
what comes on standard input; without it the request is empty.

Resource types and ids are the plugin's own, without the prefix that they have in an
upload. The answer is JSON on standard output; a method that streams gives a line for
each message. An error of the plugin is shown with its code, and is never tried again.

A method that changes something in the app is refused unless the plugin's entry has
` + "`provisioning: true`" + ` or --provisioning is given.`,
		Example: `  baton-host call fullstory
  baton-host call fullstory Validate
  baton-host call fullstory ListResources '{"resource_type_id": "user", "page_size": 10}'
  baton-host call ./bin/baton-scim PluginService/Describe`,
		Args:              cobra.RangeArgs(1, 3),
		ValidArgsFunction: perArgument(root.plugins, methods),
		RunE: func(cmd *cobra.Command, args []string) error {
			return options.run(cmd.Context(), cmd.InOrStdin(), cmd.OutOrStdout(), args)
		},
	}
	addPluginFlags(cmd.Flags(), &options.configFile, &options.unlocked)
	cmd.Flags().BoolVarP(&options.provisioning, "provisioning", "p", false, "let the call change something in the app")
	return cmd
}

func (o *callOptions) run(ctx context.Context, stdin io.Reader, stdout io.Writer, args []string) error {
	if len(args) == 1 {
		if _, err := o.open(ctx, args[0], host.NoSecrets); err != nil {
			return err
		}
		return writeMethods(stdout)
	}
	method, err := call.Find(args[1])
	if err != nil {
		return err
	}
	if err := byHand(method); err != nil {
		return err
	}
	text := []byte("{}")
	if len(args) == 3 {
		if text, err = requestText(ctx, stdin, args[2]); err != nil {
			return err
		}
	}
	request, err := method.Request(text)
	if err != nil {
		return err
	}
	if method.Path == pluginv1.PluginService_Describe_FullMethodName {
		return o.describe(ctx, stdout, args[0])
	}
	h, err := o.open(ctx, args[0], host.PluginSecrets)
	if err != nil {
		return err
	}
	defer h.Close(ctx)
	return h.Call(ctx, method, request, o.provisioning, func(answer proto.Message) error {
		return writeAnswer(stdout, answer, method.Streams)
	})
}

// open opens a host for the plugin of that name.
func (o *callOptions) open(ctx context.Context, name string, secrets host.Secrets) (*host.Host, error) {
	options := o.root.hostOptions(ctx, secrets)
	options.Attach, options.Unlocked = true, o.unlocked
	return host.Open(ctx, host.Selection{ConfigFile: o.configFile, Plugin: name}, options)
}

// byHand refuses what the host itself calls of a plugin.
func byHand(method call.Method) error {
	switch method.Path {
	case pluginv1.PluginService_Configure_FullMethodName:
		return errors.New("Configure is not called by hand: a plugin is configured once, before the first call, with what the configuration file or BATON_* variables have") //nolint:staticcheck // A method's name.
	case pluginv1.PluginService_Stop_FullMethodName:
		return errors.New("Stop is not called by hand: every plugin is stopped after its call") //nolint:staticcheck // A method's name.
	}
	return nil
}

// requestText returns a request as it was given, or what comes on standard input.
func requestText(ctx context.Context, stdin io.Reader, given string) ([]byte, error) {
	if given != "-" {
		return []byte(given), nil
	}
	// JSON is larger than the message that it stands for, but not that much.
	const limit = 8 * plugin.MaxMessageBytes
	type outcome struct {
		text []byte
		err  error
	}
	done := make(chan outcome, 1)
	go func() {
		text, err := io.ReadAll(io.LimitReader(stdin, limit+1))
		done <- outcome{text, err}
	}()
	select {
	case <-ctx.Done():
		return nil, ctx.Err()
	case read := <-done:
		switch {
		case read.err != nil:
			return nil, fmt.Errorf("the request cannot be read from standard input: %w", read.err)
		case len(read.text) > limit:
			return nil, fmt.Errorf("the request on standard input is larger than %d MiB, and than any plugin takes", limit>>20)
		case len(strings.TrimSpace(string(read.text))) == 0:
			return nil, errors.New("standard input holds no request; write one there, or leave the - out")
		}
		return read.text, nil
	}
}

// describe shows how a plugin describes itself, which needs no configuration.
func (o *callOptions) describe(ctx context.Context, stdout io.Writer, name string) error {
	h, err := o.open(ctx, name, host.NoSecrets)
	if err != nil {
		return err
	}
	described, err := h.Describe(ctx)
	if err != nil {
		return err
	}
	return writeAnswer(stdout, &pluginv1.DescribeResponse{Manifest: described.Manifest}, false)
}

// writeAnswer writes a message as JSON, and a note for each type in it whose
// content cannot be shown.
func writeAnswer(stdout io.Writer, answer proto.Message, oneLine bool) error {
	text, unknown, err := call.Format(answer, oneLine)
	if err != nil {
		return err
	}
	for _, name := range unknown {
		_, _ = fmt.Fprintf(hostlog.Stderr, "baton-host: the type %s is not known here, so its content is not shown\n", terminal.Printable(name))
	}
	if _, err := io.WriteString(stdout, errtext.PrintableJSON(string(text))+"\n"); err != nil {
		return fmt.Errorf("the answer could not be written to standard output: %w", err)
	}
	return nil
}

func writeMethods(stdout io.Writer) error {
	var rows [][]string
	for _, method := range call.Methods() {
		if byHand(method) != nil {
			continue
		}
		var notes []string
		if method.Changes {
			notes = append(notes, "changes something in the app")
		}
		if method.Streams {
			notes = append(notes, "streams")
		}
		rows = append(rows, []string{method.String(), strings.Join(notes, ", "), strings.Join(method.Fields, ", ")})
	}
	return terminal.WriteTable(stdout, []string{"METHOD", "NOTE", "REQUEST"}, rows)
}
