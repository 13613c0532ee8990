// Command baton-host-aws asks AWS Secrets Manager or the Systems Manager Parameter Store for
// one secret.
//
// The host runs it for references to stores of the types aws-sm and aws-ssm, as it runs every
// helper. It must never write anything but one helper.Answer to standard output, nor put a
// value into an error.
//
// It is a separate program because the libraries of AWS would add a seventh to the size of
// each host, and most hosts ask no AWS.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/spf13/pflag"

	"github.com/batonhost/baton-host/host/internal/secret/helper"
)

// version is set by the build.
var version = "dev"

// patience is how long it waits for AWS: less than the host waits for it.
const patience = 15 * time.Second

func main() {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	failed := run(ctx, os.Args[1:], os.Stdout)
	cancel()
	if failed {
		os.Exit(1)
	}
}

// run writes the answer to a command line.
func run(ctx context.Context, args []string, stdout io.Writer) (failed bool) {
	flags := pflag.NewFlagSet("baton-host-aws", pflag.ContinueOnError)
	flags.SetOutput(io.Discard)
	var q question
	flags.StringVar(&q.region, "region", "", "")
	flags.StringVar(&q.profile, "profile", "", "")
	flags.StringVar(&q.endpoint, "endpoint", "", "")
	showVersion := flags.Bool("version", false, "")
	err := flags.Parse(args)
	if err == nil && *showVersion {
		_, err := fmt.Fprintf(stdout, "baton-host-aws %s\n", version)
		return err != nil
	}
	var answer helper.Answer
	if err != nil || flags.NArg() != 2 {
		err = errors.New("this program is a part of baton-host, which runs it for stores of the types aws-sm and aws-ssm")
	} else {
		q.service, q.name = flags.Arg(0), flags.Arg(1)
		answer, err = q.ask(ctx)
	}
	if err != nil {
		sentence, isAway := explain(ctx, err, q)
		answer = helper.Answer{Error: sentence, Away: isAway}
	}
	return json.NewEncoder(stdout).Encode(answer) != nil || err != nil
}
