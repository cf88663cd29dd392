/** The stack's name in CloudFormation, and so of its template's file. */
export const STACK_NAME = 'CardiacNets'
