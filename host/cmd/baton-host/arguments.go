package main

import (
	"cmp"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/batonhost/baton-host/host/internal/errtext"
)

// inWords has a command and those below it report in sentences what is wrong with
// their arguments and flags.
func inWords(cmd *cobra.Command) {
	if check := cmd.Args; check != nil {
		cmd.Args = func(cmd *cobra.Command, args []string) error {
			if check(cmd, args) == nil {
				return nil
			}
			return wrongArguments(cmd, args)
		}
	}
	cmd.SetFlagErrorFunc(wrongFlag)
	for _, child := range cmd.Commands() {
		inWords(child)
	}
}

// wrongArguments returns the error for as many arguments as a command does not take.
func wrongArguments(cmd *cobra.Command, args []string) error {
	_, takes, _ := strings.Cut(cmd.Use, " ")
	if takes == "" && cmd.Flags().Lookup("upload") != nil && !strings.ContainsAny(args[0], "./\\") {
		return fmt.Errorf("%s takes flags only, not the argument %q; did you mean --upload %[2]s?", cmd.CommandPath(), args[0])
	}
	if takes == "" {
		return fmt.Errorf("%s takes flags only, not the argument %q; see %[1]s --help", cmd.CommandPath(), args[0])
	}
	given := fmt.Sprintf("%d arguments were given", len(args))
	switch len(args) {
	case 0:
		given = "no argument was given"
	case 1:
		given = "only one argument was given"
	}
	return fmt.Errorf("%s takes %s, and %s; see %[1]s --help", cmd.CommandPath(), takes, given)
}

// wrongFlag returns the error for a flag that there is not, or not in this form.
func wrongFlag(cmd *cobra.Command, err error) error {
	if invalid, ok := errors.AsType[*pflag.InvalidValueError](err); ok {
		return fmt.Errorf("--%s must be %s, not %q", invalid.GetFlag().Name, formOf(invalid.GetFlag()), invalid.GetValue())
	}
	unknown, ok := errors.AsType[*pflag.NotExistError](err)
	if !ok {
		return fmt.Errorf("%w; see %s --help", err, cmd.CommandPath())
	}
	name := unknown.GetSpecifiedName()
	if unknown.GetSpecifiedShortnames() != "" {
		return fmt.Errorf("%s has no flag -%s; see %[1]s --help", cmd.CommandPath(), name)
	}
	var names, begun []string
	cmd.Flags().VisitAll(func(flag *pflag.Flag) {
		names = append(names, flag.Name)
		if len(name) > 1 && strings.HasPrefix(flag.Name, name) && !flag.Hidden {
			begun = append(begun, flag.Name)
		}
	})
	near := cmp.Or(errtext.Nearest(name, names), strings.Join(begun, " or --"))
	if near != "" {
		return fmt.Errorf("%s has no flag --%s; did you mean --%s?", cmd.CommandPath(), name, near)
	}
	return fmt.Errorf("%s has no flag --%s; see %[1]s --help", cmd.CommandPath(), name)
}

// formOf returns what a flag takes, in words.
func formOf(flag *pflag.Flag) string {
	switch flag.Value.Type() {
	case "duration":
		return "a duration with its unit, such as 30s"
	case "bool":
		return "true or false"
	case "int":
		return "a whole number"
	default:
		return "a value of another form (" + flag.Usage + ")"
	}
}

// unknownCommand returns the error for a command that there is not.
func unknownCommand(parent *cobra.Command, name string) error {
	var names []string
	for _, cmd := range parent.Commands() {
		if cmd.IsAvailableCommand() {
			names = append(names, cmd.Name())
		}
	}
	parent.SuggestionsMinimumDistance = 2
	if near := parent.SuggestionsFor(name); len(near) > 0 {
		return fmt.Errorf("there is no command %q; did you mean %s?", name, strings.Join(near, " or "))
	}
	if len(names) == 0 {
		return fmt.Errorf("%s has no command %q", parent.CommandPath(), name)
	}
	return fmt.Errorf("there is no command %q; %s has %s", name, parent.CommandPath(), joinNames(names))
}

// joinNames returns a list of names as a sentence has it.
func joinNames(names []string) string { return strings.Join(names, ", ") }

// helpOrUnknown is what a command does that has others below it and is called by
// itself.
func helpOrUnknown(cmd *cobra.Command, args []string) error {
	if len(args) > 0 {
		return unknownCommand(cmd, args[0])
	}
	return cmd.Help()
}

// exclude has no flag of others stand beside this one.
func exclude(cmd *cobra.Command, flag string, others ...string) {
	for _, other := range others {
		cmd.MarkFlagsMutuallyExclusive(flag, other)
	}
}

// wordsOfGroup finds the flags in cobra's error for two that exclude each other.
var wordsOfGroup = regexp.MustCompile(`\[([a-z-]+) ([a-z-]+)\] were all set$`)

// checkGroups returns cobra's finding about flags that make no sense together, in words.
func checkGroups(cmd *cobra.Command) error {
	err := cmd.ValidateFlagGroups()
	if err == nil {
		return nil
	}
	if found := wordsOfGroup.FindStringSubmatch(err.Error()); found != nil {
		return fmt.Errorf("--%s and --%s exclude each other; leave one of them out", found[1], found[2])
	}
	return err
}

// requireValues refuses flags that were given without a value, as a script does
// whose variable is not set: to go on as if they had not been given would do
// something else than was meant.
func requireValues(flags *pflag.FlagSet) error {
	var errs []error
	flags.Visit(func(flag *pflag.Flag) {
		if flag.Value.String() == "" || flag.Value.String() == "[]" {
			errs = append(errs, fmt.Errorf("--%s is empty; give it a value (%s) or leave it out", flag.Name, flag.Usage))
		}
	})
	return errors.Join(errs...)
}

// addOutputFlag adds --output with the forms that a command has, the first of
// which is the default.
func addOutputFlag(cmd *cobra.Command, into *string, forms ...string) {
	cmd.Flags().StringVarP(into, "output", "o", forms[0], "the form of the result: "+strings.Join(forms, ", "))
	_ = cmd.RegisterFlagCompletionFunc("output", cobra.FixedCompletions(forms, cobra.ShellCompDirectiveNoFileComp))
	previous := cmd.PreRunE
	cmd.PreRunE = func(cmd *cobra.Command, args []string) error {
		if !slices.Contains(forms, *into) {
			return fmt.Errorf("--output must be one of %s, not %q", strings.Join(forms, ", "), *into)
		}
		if previous != nil {
			return previous(cmd, args)
		}
		return nil
	}
}
