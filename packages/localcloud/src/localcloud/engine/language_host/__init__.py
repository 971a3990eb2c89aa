"""Our Python language host for the Pulumi engine, for machines that have no official one.

The engine starts it for every operation that runs a program or a policy pack and speaks
`pulumirpc.LanguageRuntime` with it (pulumi/pulumi, proto/pulumi/language.proto). Parts:

- `protocol`: the messages, imported without the rest of the SDK;
- `options`: the Python of a program (`virtualenv`, `toolchain`);
- `inspect_environment`, `run_program`: scripts that run in that Python without localcloud;
- `processes`: starting, streaming and ending them;
- `policy_pack`: the environment of a policy pack, for its start;
- `servicer` and `server`: the calls themselves, and the process.
"""
