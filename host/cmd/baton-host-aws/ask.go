package main

import (
	"context"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/aws/aws-sdk-go-v2/service/ssm"

	"github.com/batonhost/baton-host/host/internal/secret/helper"
)

// question is what the host asks.
type question struct {
	service                   string // of helper.AWS
	region, profile, endpoint string // empty: as AWS has them
	name                      string // NAME or NAME#FIELD
}

// faultError is a fault of the question or of what is in the store: a sentence of our own.
type faultError string

// Error returns the sentence.
func (e faultError) Error() string { return string(e) }

// ask returns the secret with its version.
func (q question) ask(ctx context.Context) (helper.Answer, error) {
	var options []func(*config.LoadOptions) error
	if q.region != "" {
		options = append(options, config.WithRegion(q.region))
	}
	if q.profile != "" {
		options = append(options, config.WithSharedConfigProfile(q.profile))
	}
	loaded, err := config.LoadDefaultConfig(ctx, options...)
	if err != nil {
		return helper.Answer{}, err
	}
	if loaded.Region == "" {
		return helper.Answer{}, faultError(`no region of AWS is known; set "region" in the store, or AWS_REGION`)
	}
	name, field, _ := strings.Cut(q.name, "#")
	var answer helper.Answer
	switch q.service {
	case helper.SecretsManager:
		answer, err = q.secret(ctx, loaded, name)
	case helper.ParameterStore:
		answer, err = q.parameter(ctx, loaded, name)
	default:
		return helper.Answer{}, faultError("there is no such service: baton-host and baton-host-aws are of different releases; install both from one")
	}
	if err == nil && field != "" {
		answer.Value, err = fieldOf(answer.Value, field)
	}
	return answer, err
}

// secret asks Secrets Manager for the current version of a secret.
func (q question) secret(ctx context.Context, loaded aws.Config, name string) (helper.Answer, error) {
	client := secretsmanager.NewFromConfig(loaded, func(o *secretsmanager.Options) {
		if q.endpoint != "" {
			o.BaseEndpoint = &q.endpoint
		}
	})
	got, err := client.GetSecretValue(ctx, &secretsmanager.GetSecretValueInput{SecretId: &name})
	if err != nil {
		return helper.Answer{}, err
	}
	value := aws.ToString(got.SecretString)
	if got.SecretString == nil {
		if !utf8.Valid(got.SecretBinary) {
			return helper.Answer{}, faultError("the secret is binary and no text")
		}
		value = string(got.SecretBinary)
	}
	return helper.Answer{Value: value, Version: aws.ToString(got.VersionId)}, nil
}

// parameter asks the Parameter Store.
func (q question) parameter(ctx context.Context, loaded aws.Config, name string) (helper.Answer, error) {
	client := ssm.NewFromConfig(loaded, func(o *ssm.Options) {
		if q.endpoint != "" {
			o.BaseEndpoint = &q.endpoint
		}
	})
	got, err := client.GetParameter(ctx, &ssm.GetParameterInput{Name: &name, WithDecryption: aws.Bool(true)})
	if err != nil {
		return helper.Answer{}, err
	}
	if got.Parameter == nil {
		return helper.Answer{}, faultError("the service answered without the parameter")
	}
	return helper.Answer{Value: aws.ToString(got.Parameter.Value), Version: strconv.FormatInt(got.Parameter.Version, 10)}, nil
}

// fieldOf returns a field of a secret that is a JSON object: a text, a number or a boolean.
func fieldOf(value, field string) (string, error) {
	var fields map[string]json.RawMessage
	if json.Unmarshal([]byte(value), &fields) != nil || fields == nil {
		return "", faultError("the secret is no JSON object, so it has no fields; leave the # and what follows it out")
	}
	raw, ok := fields[field]
	switch {
	case !ok:
		return "", faultError("the secret has no field of the name behind the #")
	case raw[0] == '"':
		var text string
		if err := json.Unmarshal(raw, &text); err != nil {
			return "", faultError("the field of the secret cannot be read")
		}
		return text, nil
	case raw[0] == '{' || raw[0] == '[' || string(raw) == "null":
		return "", faultError("the field of the secret is no text, number or boolean")
	}
	return string(raw), nil
}

// where returns the place that was asked, for people.
func (q question) where() string {
	switch {
	case q.endpoint != "":
		return "AWS (" + q.endpoint + ")"
	case q.region != "":
		return "AWS in " + q.region
	}
	return "AWS"
}

// permissions are those that a service needs.
func (q question) permissions() string {
	action := "secretsmanager:GetSecretValue"
	if q.service == helper.ParameterStore {
		action = "ssm:GetParameter"
	}
	return fmt.Sprintf("%s, and kms:Decrypt where the secret has a key of its own", action)
}
