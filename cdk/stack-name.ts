/** The stack's name in CloudFormation, and in the name of its template file. */
export const STACK_NAME = 'CardiacNets'
