// Package aws stands in for AWS Secrets Manager and the Systems Manager Parameter Store: both
// of their JSON protocols (1.1), with requests signed by Signature Version 4.
//
// Tests serve it over HTTP and have programs ask it. It must never answer a request whose
// signature it has not computed itself, from the documents of AWS and without its libraries.
package aws
