package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/conductorone/baton-sdk/pkg/logging"
	"github.com/grpc-ecosystem/go-grpc-middleware/logging/zap/ctxzap"
	"github.com/spf13/cobra"
	"go.uber.org/zap"

	"github.com/batonhost/baton-host/sandbox/scim"
)

// The variables keep secrets out of the arguments, which other users of the
// machine can read.
const (
	tokenVariable    = "BATON_SANDBOX_TOKEN"
	passwordVariable = "BATON_SANDBOX_PASSWORD"
)

func newSCIMCommand() *cobra.Command {
	var (
		people peopleOptions
		opts   scim.Options
		addr   string
	)
	cmd := &cobra.Command{
		Use:   "scim",
		Short: "Run a SCIM 2.0 service with made-up people",
		Long: `Run a SCIM 2.0 service with made-up people, until it is interrupted.

Once it listens it prints one line, its SCIM base URL, to standard output. Its
log goes to standard error. The bearer token that requests must carry is taken
from the environment variable ` + tokenVariable + ` or from --token.`,
		Example: `  ` + tokenVariable + `=secret baton-sandbox scim --accounts 250 --app fullstory`,
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			opts.App, opts.Seed, opts.Accounts = people.app, people.seed, people.accounts
			if opts.BasicUser != "" {
				opts.BasicPassword = os.Getenv(passwordVariable)
			} else if opts.Token == "" {
				opts.Token = os.Getenv(tokenVariable)
			}
			if opts.BasicUser == "" && opts.Token == "" {
				return errors.New("the bearer token is missing; set " + tokenVariable + " or pass --token")
			}
			if opts.PageCap < 1 {
				return fmt.Errorf("the page cap must be at least 1, not %d", opts.PageCap)
			}
			return runSCIM(cmd.Context(), cmd.OutOrStdout(), addr, opts)
		},
	}
	people.addFlags(cmd)
	flags := cmd.Flags()
	flags.StringVar(&addr, "addr", "127.0.0.1:0", "the loopback address to listen on; port 0 takes a free one")
	flags.StringVar(&opts.Token, "token", "", "the bearer token (default $"+tokenVariable+")")
	flags.IntVar(&opts.PageCap, "page-cap", scim.DefaultPageCap, "the greatest number of users in one answer")
	flags.BoolVar(&opts.IgnoreSort, "ignore-sort", false, "list in the same order whatever sortBy asks for")
	flags.DurationVar(&opts.Latency, "latency", 0*time.Second, "how long a request for a list waits, such as 20ms")
	flags.IntVar(&opts.Groups, "groups", 0, "how many groups there are; 0 serves no groups at all")
	flags.BoolVar(&opts.OmitListedMembers, "omit-listed-members", false, "leave the members out of lists of groups")
	flags.BoolVar(&opts.OmitMemberTypes, "omit-member-types", false, "leave out whether a member is a user or a group")
	flags.StringVar(&opts.BasicUser, "basic-user", "", "ask for this user name, and the password in $"+passwordVariable+", instead of a token")
	cmd.AddCommand(newAccountsCommand(&people))
	return cmd
}

func runSCIM(ctx context.Context, stdout io.Writer, addr string, opts scim.Options) error {
	server, err := scim.New(opts)
	if err != nil {
		return err
	}
	ctx, err = logging.Init(ctx, logging.WithLogFormat(logging.LogFormatConsole))
	if err != nil {
		return fmt.Errorf("start the log: %w", err)
	}
	listener, err := listen(ctx, addr)
	if err != nil {
		return err
	}
	baseURL := "http://" + listener.Addr().String() + server.BasePath()
	ctxzap.Extract(ctx).Info("serving SCIM",
		zap.String("base_url", baseURL),
		zap.String("app", opts.App),
		zap.Uint64("seed", opts.Seed),
		zap.Int("accounts", opts.Accounts),
		zap.Int("page_cap", opts.PageCap),
		zap.Duration("latency", opts.Latency))
	if _, err := fmt.Fprintln(stdout, baseURL); err != nil {
		_ = listener.Close()
		return fmt.Errorf("print the base URL: %w", err)
	}
	return serve(ctx, listener, server)
}
